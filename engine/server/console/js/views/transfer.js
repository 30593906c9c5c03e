// Giving a call away.

import * as api from "../api.js";
import { attempt, button, field, h, once, refusals, show } from "../dom.js";
import { dialable, isPending, phone as phoneInWords } from "../format.js";
import { machineCheck } from "./machines.js";

const TO = [["number", "a number"], ["conference", "a conference"], ["queue", "a queue"]];
const NAMES = { number: "Number", conference: "Conference", queue: "Queue" };

/** `asked()` when there is something new to show. */
export function transfers(call, { asked }) {
  let sent = null;
  const alert = refusals();
  const progress = h("p", { role: "status", class: "progress transfer-progress" });
  const to = h("select", { name: "to", onchange: choose }, ...TO.map(([value, text]) => h("option", { value }, text)));
  const target = h("input", { name: "target", autocomplete: "off", required: true, maxlength: 100 });
  const how = h("select", { name: "how", onchange: choose }, h("option", { value: "cold" }, "cold"), h("option", { value: "warm" }, "warm"));
  const summary = h("textarea", { name: "summary", rows: 2, maxlength: 1000 });
  const from = h("input", { type: "tel", name: "from", autocomplete: "off" });
  const machines = machineCheck();
  const targetField = field("Number", target);
  const howField = field("How", how);
  const summaryField = field("What they are told", summary, "Spoken to them before they press 1 to accept; a summary of the call if empty.");
  const fromField = field("Number they see", from, "The number of this call if empty.");
  const next = h("p", { class: "hint", id: "transfer-next" });
  const submit = h("button", { type: "submit", "aria-describedby": next.id }, "Transfer");
  const stop = button("Stop the transfer", () => api.stopCalling(call).then(() => void asked()), { alert, class: "quiet", hidden: true });

  function choose() {
    const isNumber = to.value === "number";
    const isWarm = isNumber && how.value === "warm";
    show(targetField.querySelector("label"), NAMES[to.value]);
    target.type = isNumber ? "tel" : "text";
    target.placeholder = isNumber ? "+12025550143" : "support";
    howField.hidden = fromField.hidden = !isNumber;
    summaryField.hidden = machines.element.hidden = !isWarm;
    show(next, isWarm
      ? "The agent keeps the caller until they accept, and goes on if they do not."
      : `The agent's part ends at once.${isNumber ? " If nobody takes the call, the caller is back with the agent, in a call of its own." : ""}`);
  }

  async function send() {
    const isNumber = to.value === "number";
    const isWarm = isNumber && how.value === "warm";
    const where = isNumber ? dialable(target.value) : target.value.trim();
    await api.transfer(call, {
      to: { [to.value]: where }, mode: isWarm ? "warm" : "cold",
      summary: (isWarm && summary.value.trim()) || undefined, from: (isNumber && dialable(from.value)) || undefined,
      machine_detection: isWarm ? machines.value() : undefined,
    });
    sent = { to: to.value, where, isWarm };
    show(progress, isWarm ? "" : `The call is on its way to ${where}: the agent's part ends when it is taken away.`);
  }

  const form = h("form", { class: "card panel", novalidate: true }, h("fieldset", {},
    h("legend", {}, "Transfer the call"),
    h("div", { class: "fields" }, field("To", to), targetField, howField, fromField), summaryField, machines.element, next,
    h("div", { class: "row" }, submit, stop), progress, alert));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!target.value.trim()) return target.focus();
    const inputs = { to: target, [`to.${to.value}`]: target, mode: how, summary, from, machine_detection: machines.box };
    once(submit, () => attempt(alert, send, inputs)).then(asked);
  });
  choose();

  return {
    element: form,
    update(live) {
      const isOurs = Boolean(live?.phone?.transfer);
      if (isOurs) show(progress, phoneInWords(live));
      if (isOurs && live.phone.state === "failed") sent = null;
      progress.classList.toggle("problem", isOurs && live.phone.state === "failed");
      stop.hidden = !(isOurs && isPending(live));
      submit.disabled = isPending(live);
    },
    /** Where the call was sent from this page, if it was: `{ to, where, isWarm }`. */
    sent: () => sent,
  };
}
