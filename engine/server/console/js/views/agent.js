// Acting in a call without being on it: what the agent shall say and know, keys, the end.

import * as api from "../api.js";
import { ask, attempt, button, field, h, notice, once, refusals, show, tick } from "../dom.js";

const KEYS = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "*", "0", "#"];
/** As many can be sent at once. */
const MOST_KEYS = 64;

/** Words for the agent: to say, or to heed. */
export function tellAgent(call) {
  const alert = refusals();
  const words = h("textarea", { rows: 2, maxlength: 2000, name: "text" });
  const interruptible = h("input", { type: "checkbox", name: "interruptible", checked: true });
  const send = (how, told) => async () => {
    const text = words.value.trim();
    if (!text) return words.focus();
    await how(text);
    clear(words, text);
    notice(told);
  };
  const properties = { alert, inputs: { text: words } };
  return h("fieldset", { class: "card" },
    h("legend", {}, "Tell the agent"), field("Words", words),
    h("div", { class: "row" },
      button("Say it to the caller", send((text) => api.say(call, text, interruptible.checked), "The agent will say it."), { ...properties, "data-act": "say" }),
      button("Guide the agent", send((text) => api.whisper(call, text), "The agent has it as guidance."), { ...properties, class: "quiet", "data-act": "whisper" }),
      tick("The caller can interrupt it", interruptible)),
    alert);
}

/** The keys of a telephone. */
export function keypad(call) {
  const alert = refusals();
  let [pressed, isSending] = ["", false];

  /** However quickly keys are pressed, all of them are sent, and in order. */
  async function press(key) {
    pressed += key;
    if (isSending) return;
    isSending = true;
    while (pressed) {
      const keys = pressed.slice(0, MOST_KEYS);
      pressed = pressed.slice(MOST_KEYS);
      if (!(await attempt(alert, () => api.digits(call, keys)))) pressed = "";
    }
    isSending = false;
  }

  const several = h("input", { name: "digits", autocomplete: "off", inputmode: "tel", maxlength: MOST_KEYS, spellcheck: "false" });
  const submit = h("button", { type: "submit", class: "quiet" }, "Send keys");
  const form = h("form", { novalidate: true },
    field("Several keys", several, "0 to 9, *, #, A to D, and w for half a second's pause."), submit);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const keys = several.value.trim();
    if (!keys) return several.focus();
    once(submit, () => attempt(alert, async () => {
      await api.digits(call, keys.replaceAll(" ", ""));
      clear(several, keys);
    }, { digits: several }));
  });
  return h("fieldset", { class: "card" }, h("legend", {}, "Keys"),
    h("div", { class: "keys" }, ...KEYS.map((key) => h("button", { type: "button", class: "quiet", "aria-label": `Send the tone of ${key}`, onclick: () => press(key) }, key))),
    form, alert);
}

/** Pausing the agent, and ending the call. */
export function callControls(call) {
  const alert = refusals();
  let isPaused = false;
  const pause = button("Pause agent", () => (isPaused ? api.resume(call) : api.pause(call)), { alert, class: "quiet", "data-act": "pause" });
  const hangUp = button("Hang up", () => {
    const farewell = h("textarea", { rows: 2, maxlength: 2000, name: "farewell" });
    ask({
      title: "Hang up",
      text: "The call ends at once; with a farewell, once the caller has heard it.",
      more: field("Farewell", farewell),
      yes: "Hang up now",
      no: "Go on with the call",
      act: () => api.hangUp(call, farewell.value.trim()),
    });
  }, { alert, class: "alarm", "data-act": "hang-up" });
  return {
    element: h("fieldset", { class: "calls" }, h("legend", { class: "unseen" }, "The call"), h("div", { class: "row" }, pause, hangUp), alert),
    update(live) {
      isPaused = live?.paused ?? false;
      show(pause, isPaused ? "Let the agent go on" : "Pause agent");
    },
  };
}

/** Empties a field of what was sent, unless something else was written in it meanwhile. */
function clear(input, sent) {
  if (input.value.trim() === sent) input.value = "";
}
