// Being on a call: the modes, the microphone, how loud it is.

import * as api from "../api.js";
import { choosesLoudspeaker, devices } from "../audio/devices.js";
import { attempt, button, field, h, notice, refusals, show } from "../dom.js";
import { mode as modeInWords } from "../format.js";
import { SPEAKING } from "../leg.js";
import * as presence from "../presence.js";

const MODES = [
  ["monitor", "Listen", "Hear both sides; nobody hears you."],
  ["whisper", "Coach", "The agent gets what you say as guidance; the caller does not hear you."],
  ["barge", "Join in", "Caller and agent hear you; the agent goes on."],
  ["takeover", "Take over", "You speak with the caller in place of the agent."],
];
/** Where this browser keeps which devices were chosen. */
const [MICROPHONE, LOUDSPEAKER] = ["sidetone.microphone", "sidetone.loudspeaker"];
/** How often the levels are looked at, in ms: the style sheet has them move in between. */
const METERED = 80;

/** `changed()` is called when this browser comes on the call, leaves it or does something else there. */
export function legControls({ call, label, canSpeak, changed }) {
  let frame = null;
  const alert = refusals();
  const status = h("p", { role: "status", class: "soft" }, "You are not on this call.");
  const microphone = picker(MICROPHONE, presence.useMicrophone);
  const loudspeaker = picker(LOUDSPEAKER, presence.useLoudspeaker);
  const meters = { spoken: meter("Your level", "You"), heard: meter("The call's level", "The call") };
  const buttons = MODES.filter(([mode]) => mode === "monitor" || canSpeak).map(([mode, text, hint]) => ({
    mode,
    element: h("div", {}, button(text, () => enter(mode), { alert, class: "quiet mode", "data-mode": mode, "aria-pressed": "false", "aria-describedby": `hint-${mode}` }),
      h("p", { class: "hint", id: `hint-${mode}` }, hint)),
  }));
  const mute = button("Mute", () => presence.mute(!presence.on(call).muted), { alert, class: "quiet", "aria-pressed": "false", disabled: true, "data-act": "mute" });
  const back = button("Hand back", () => api.handBack(call), { alert, disabled: true, "data-act": "hand-back", title: "The agent speaks with the caller again." });
  const leave = button("Leave", () => presence.leave(), { alert, class: "quiet", disabled: true, "data-act": "leave" });

  /** What goes wrong later may do so when something else is looked at. */
  function tell(text) {
    if (alert.isConnected) show(alert, text);
    else notice(text, { alarm: true });
  }

  async function enter(mode) {
    try {
      await presence.enter({ call, label, mode, device: microphone.chosen(), output: loudspeaker.chosen(), problem: tell });
    } finally {
      listDevices();
    }
  }

  function become({ mode, muted, reason }) {
    const speaks = SPEAKING.has(mode);
    show(status, mode ? `You are ${modeInWords(mode)}${muted && speaks ? ", muted" : ""}.` : `You are off the call: ${reason}.`);
    status.classList.toggle("on-air", mode === "barge" || mode === "takeover");
    for (const { mode: its, element } of buttons) element.firstElementChild.setAttribute("aria-pressed", String(its === mode));
    mute.disabled = !speaks;
    mute.setAttribute("aria-pressed", String(muted));
    show(mute, muted ? "Unmute" : "Mute");
    leave.disabled = !mode;
    if (mode && frame === null) draw();
    changed();
  }

  function draw() {
    const isOn = Boolean(presence.on(call));
    const { spoken, heard } = isOn ? presence.levels() : { spoken: 0, heard: 0 };
    meters.spoken.set(spoken);
    meters.heard.set(heard);
    frame = isOn ? setTimeout(draw, METERED) : null;
  }

  async function listDevices() {
    const { microphones, loudspeakers } = await devices();
    microphone.list(microphones);
    loudspeaker.list(loudspeakers);
  }

  function picker(key, use) {
    const select = h("select", { name: key, onchange: choose });
    async function choose() {
      localStorage.setItem(key, select.value);
      await attempt(alert, async () => use(select.value || undefined));
    }
    return {
      select,
      chosen: () => select.value || undefined,
      list(found) {
        const wanted = localStorage.getItem(key) ?? "";
        const options = found.map(({ id, name }) => h("option", { value: id, selected: id === wanted }, name));
        select.replaceChildren(h("option", { value: "" }, "the browser's choice"), ...options);
      },
    };
  }

  const unwatch = presence.watch((of, state) => of === call && become(state));
  listDevices();
  navigator.mediaDevices?.addEventListener("devicechange", listDevices);

  return {
    element: h("fieldset", { class: "card" },
      h("legend", {}, "Be on the call"), status,
      h("div", { class: "modes" }, ...buttons.map(({ element }) => element)),
      h("div", { class: "row" }, canSpeak && mute, canSpeak && back, leave), alert,
      canSpeak && field("Microphone", microphone.select), canSpeak && meters.spoken.element,
      choosesLoudspeaker && field("Loudspeaker", loudspeaker.select), meters.heard.element),
    /** The leg of this browser, if it is on the call. */
    person: () => presence.on(call)?.person ?? null,
    update(live) {
      back.disabled = live?.handoff.state !== "bridged";
    },
    /** Shows how this browser is on the call already, if it is. */
    begin: () => presence.on(call) && become(presence.on(call)),
    /** The controls go; whoever is on the call stays on it. */
    leave() {
      unwatch();
      clearTimeout(frame);
      navigator.mediaDevices?.removeEventListener("devicechange", listDevices);
    },
  };
}

function meter(name, label) {
  const level = h("div");
  const element = h("div", { class: "meter", role: "meter", "aria-label": name, "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": 0 }, level);
  return {
    element: h("div", { class: "field metered" }, h("span", { class: "soft" }, label), element),
    set(value) {
      level.style.setProperty("transform", `scaleX(${value.toFixed(2)})`);
      element.setAttribute("aria-valuenow", Math.round(value * 100));
    },
  };
}
