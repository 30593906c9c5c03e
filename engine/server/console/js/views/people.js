// Who is on a call beside caller and agent, and who is called to the phone for it.

import * as api from "../api.js";
import { attempt, button, field, h, once, refusals, show, tick } from "../dom.js";
import { dialable, isPending, mode as modeInWords, phone as phoneInWords } from "../format.js";
import { machineCheck } from "./machines.js";

/** `own()`: the leg of this page, if any. */
export function peopleList(call, { canAct, own }) {
  const alert = refusals();
  const list = h("ul", { class: "people", "aria-label": "People on the call", hidden: true });
  const nobody = h("p", { class: "soft" }, "Nobody but caller and agent.");
  const rows = new Map();

  function row({ id, name }) {
    const text = h("span");
    const control = (label, act, title) => canAct && button(label, act, { alert, class: "quiet small", "aria-label": title });
    const give = control("Give the call", () => api.takeOver(call, { person: id }), `Give the call to ${name}`);
    const remove = control("Remove", () => api.removePerson(call, id), `Remove ${name} from the call`);
    return { text, give, remove, element: h("li", {}, text, canAct && h("span", { class: "row" }, give, remove)) };
  }

  return {
    element: h("fieldset", { class: "card" }, h("legend", {}, "People"), nobody, list, alert),
    update(live) {
      const people = live?.people ?? [];
      for (const [id, { element }] of rows) {
        if (people.some((person) => person.id === id)) continue;
        element.remove();
        rows.delete(id);
      }
      for (const person of people) {
        if (!rows.has(person.id)) {
          rows.set(person.id, row(person));
          list.append(rows.get(person.id).element);
        }
        const { text, give, remove } = rows.get(person.id);
        const isOwn = person.id === own();
        show(text, `${person.name}${isOwn ? " (you)" : ""}: ${modeInWords(person.mode)}`);
        // Whoever is at this page has a button of their own.
        if (give) give.hidden = isOwn || person.mode === "takeover";
        if (remove) remove.hidden = isOwn;
      }
      list.hidden = people.length === 0;
      nobody.hidden = people.length > 0;
    },
  };
}

const WILL = [["takeover", "take the call over"], ["barge", "join in"], ["whisper", "coach the agent"], ["monitor", "listen"]];

/** Calling somebody, who comes on the call with their phone. `asked()` when there is something new to show. */
export function phoneCalls(call, { asked }) {
  const alert = refusals();
  const progress = h("p", { role: "status", class: "progress phone-progress" });
  const number = h("input", { type: "tel", name: "phone", autocomplete: "tel", required: true, placeholder: "+12025550143" });
  const mode = h("select", { name: "mode" }, ...WILL.map(([value, text]) => h("option", { value }, text)));
  const name = h("input", { name: "name", autocomplete: "off", maxlength: 100 });
  const from = h("input", { type: "tel", name: "from", autocomplete: "off" });
  const brief = h("input", { type: "checkbox", name: "brief" });
  const machines = machineCheck();
  const inputs = { phone: number, mode, name, from, brief, machine_detection: machines.box };
  const submit = h("button", { type: "submit" }, "Call the phone");
  const stop = button("Stop calling", () => api.stopCalling(call).then(() => void asked()), { alert, class: "quiet", hidden: true });

  async function place() {
    show(progress, "");
    await api.takeOver(call, {
      phone: dialable(number.value), mode: mode.value, name: name.value.trim() || undefined, from: dialable(from.value) || undefined,
      brief: brief.checked, machine_detection: machines.value(),
    });
  }

  const form = h("form", { class: "card panel", novalidate: true }, h("fieldset", {},
    h("legend", {}, "Call somebody's phone"),
    h("div", { class: "fields" },
      field("Phone number", number), field("They will", mode),
      field("Their name", name, "As everybody sees it; yours if empty."), field("Number they see", from, "The number of this call if empty.")),
    tick("Tell them first what it is about", brief, "A summary is spoken to them before they are on the call."),
    machines.element,
    h("div", { class: "row" }, submit, stop), progress, alert));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!number.value.trim()) return number.focus();
    once(submit, () => attempt(alert, place, inputs)).then(asked);
  });
  return {
    element: form,
    update(live) {
      const isOurs = live?.phone && !live.phone.transfer;
      const text = isOurs ? phoneInWords(live) : "";
      show(progress, text);
      progress.classList.toggle("problem", isOurs && live.phone.state === "failed");
      stop.hidden = !(isOurs && isPending(live));
      submit.disabled = isPending(live);
    },
  };
}
