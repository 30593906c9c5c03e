// What an operator can do in a live call: be on it, and act in it.

import * as api from "../api.js";
import { microphones } from "../audio/devices.js";
import { button, field, h, notice, show } from "../dom.js";
import { mode as modeInWords } from "../format.js";
import * as legs from "../leg.js";

const MODES = [
  ["monitor", "Listen", "Hear both sides; nobody hears you."],
  ["whisper", "Coach", "The agent gets what you say as guidance; the caller does not hear you."],
  ["barge", "Join in", "Caller and agent hear you; the agent goes on."],
  ["takeover", "Take over", "You speak with the caller in place of the agent."],
];
const KEYS = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "*", "0", "#"];
const DEVICE = "sidetone.microphone";

/** Being on a call: the modes, the microphone, how loud it is. */
export function legControls(call, { canSpeak }) {
  let leg = null;
  let frame = null;
  const status = h("p", { role: "status", class: "soft" }, "You are not on this call.");
  const devices = h("select", { name: "microphone", onchange: choose });
  const meters = { spoken: meter("You"), heard: meter("The call") };
  const buttons = MODES.map(([mode, text, title]) =>
    button(text, () => enter(mode), { "data-mode": mode, title, "aria-pressed": "false", disabled: mode !== "monitor" && !canSpeak, class: "quiet" }));
  const mute = button("Mute", () => leg.mute(!leg.state.muted), { "aria-pressed": "false", class: "quiet", disabled: true, "data-act": "mute" });
  const back = button("Hand back", () => api.handBack(call), { disabled: true, "data-act": "hand-back" });
  const leave = button("Leave", () => leg.leave(), { class: "quiet", disabled: true, "data-act": "leave" });

  async function enter(mode) {
    try {
      if (leg?.state.mode) await leg.setMode(mode);
      else leg = await legs.join({ call, mode, device: devices.value || undefined, changed, problem: (text) => notice(text, { alarm: true }) });
    } finally {
      await listDevices();
    }
  }

  function changed({ mode, muted, reason }) {
    show(status, mode ? `You are ${modeInWords(mode)}${muted && legs.SPEAKING.has(mode) ? ", muted" : ""}.` : `You are off the call: ${reason}.`);
    for (const element of buttons) {
      element.setAttribute("aria-pressed", String(element.dataset.mode === mode));
    }
    mute.disabled = !legs.SPEAKING.has(mode);
    mute.setAttribute("aria-pressed", String(muted));
    show(mute, muted ? "Unmute" : "Mute");
    back.disabled = mode !== "takeover" && mode !== "barge";
    leave.disabled = !mode;
    if (mode && frame === null) draw();
  }

  function draw() {
    const { spoken, heard } = leg?.state.mode ? leg.levels() : { spoken: 0, heard: 0 };
    meters.spoken.set(spoken);
    meters.heard.set(heard);
    frame = leg?.state.mode ? requestAnimationFrame(draw) : null;
  }

  async function listDevices() {
    const found = await microphones();
    const chosen = devices.value || localStorage.getItem(DEVICE) || "";
    devices.replaceChildren(h("option", { value: "" }, "the browser's choice"), ...found.filter(({ id }) => id).map(({ id, name }) => h("option", { value: id, selected: id === chosen }, name)));
  }

  async function choose() {
    localStorage.setItem(DEVICE, devices.value);
    try {
      await leg?.use(devices.value || undefined);
    } catch (error) {
      notice(error.message, { alarm: true });
    }
  }

  listDevices();
  navigator.mediaDevices?.addEventListener("devicechange", listDevices);

  return {
    element: h("fieldset", { class: "card" },
      h("legend", {}, "Be on the call"), status,
      h("div", { class: "row" }, ...buttons),
      h("div", { class: "row below" }, mute, back, leave),
      h("div", { class: "below" }, field("Microphone", devices), meters.spoken.element, meters.heard.element)),
    leave() {
      navigator.mediaDevices?.removeEventListener("devicechange", listDevices);
      leg?.leave();
    },
  };
}

function meter(name) {
  const level = h("div");
  return {
    element: h("div", { class: "field" }, h("span", { class: "soft" }, name), h("div", { class: "meter", "aria-hidden": "true" }, level)),
    set: (value) => level.style.setProperty("transform", `scaleX(${value.toFixed(2)})`),
  };
}

/** Acting in a call without being on it. */
export function actions(call) {
  const words = h("textarea", { rows: 2, maxlength: 2000 });
  const send = (how, told) => async () => {
    const text = words.value.trim();
    if (!text) return words.focus();
    await how(text);
    words.value = "";
    notice(told);
  };
  const keys = KEYS.map((key) => button(key, () => api.digits(call, key), { class: "quiet", "aria-label": `Send the tone of ${key}` }));
  const paused = button("Pause agent", () => (paused.dataset.paused === "true" ? api.resume(call) : api.pause(call)), { class: "quiet", "data-act": "pause" });
  const hangUp = button("Hang up", () => {
    if (hangUp.dataset.sure !== "true") {
      hangUp.dataset.sure = "true";
      show(hangUp, "Hang up: sure?");
      setTimeout(() => {
        hangUp.dataset.sure = "false";
        show(hangUp, "Hang up");
      }, 4_000);
      return undefined;
    }
    return api.hangUp(call);
  }, { class: "alarm", "data-act": "hang-up" });
  return {
    element: h("div", {},
      h("fieldset", { class: "card" },
        h("legend", {}, "Tell the agent"),
        field("Words", words),
        h("div", { class: "row" },
          button("Say it to the caller", send((text) => api.say(call, text, true), "The agent will say it."), { "data-act": "say" }),
          button("Guide the agent", send((text) => api.whisper(call, text), "The agent has it as guidance."), { class: "quiet", "data-act": "whisper" }))),
      h("fieldset", { class: "card" }, h("legend", {}, "Keys"), h("div", { class: "keys" }, ...keys)),
      h("fieldset", { class: "card" }, h("legend", {}, "The call"), h("div", { class: "row" }, paused, hangUp))),
    update(live) {
      paused.dataset.paused = String(live?.paused ?? false);
      show(paused, live?.paused ? "Let the agent go on" : "Pause agent");
    },
  };
}
