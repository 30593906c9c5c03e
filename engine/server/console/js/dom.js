// Elements, and what is shown in them. Nothing a caller said is ever parsed as HTML.

/** An element: `h("p", { class: "soft" }, "text", child)`; properties that begin with "on" are listeners. */
export function h(tag, properties = {}, ...children) {
  return fill(document.createElement(tag), properties, children);
}

/** The same in SVG. */
export function svg(tag, properties = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), properties, children);
}

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Shows a text in an element, and leaves it alone if it shows it already. */
export function show(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** A field with its label, and a hint below it if there is one. */
export function field(label, input, hint) {
  const [named, below] = described(label, input, hint);
  return h("div", { class: "field" }, named, input, below);
}

/** A box to tick, with its label beside it, and a hint below if there is one. */
export function tick(label, box, hint) {
  const [named, below] = described(label, box, hint);
  return h("div", { class: "field" }, h("div", { class: "check" }, box, named), below);
}

let fields = 0;
function described(label, input, hint) {
  input.id ||= `field-${++fields}`;
  const below = hint && h("p", { class: "hint", id: `${input.id}-hint` }, hint);
  if (below) input.setAttribute("aria-describedby", below.id);
  return [h("label", { for: input.id }, label), below];
}

/** The heads of a table's columns; those in `numbers` stand above numbers. */
export function heads(names, numbers) {
  return names.map((name) => h("th", { scope: "col", class: numbers.includes(name) ? "number" : null }, name));
}

/** Tells the user what happened, for a while; what went wrong stays longer. */
export function notice(text, { alarm = false } = {}) {
  const shown = h("div", { class: alarm ? "notice alarm" : "notice" }, text);
  document.getElementById("notices").append(shown);
  setTimeout(() => shown.remove(), alarm ? 12_000 : 5_000);
}

/** Where it is said that something was refused, near what was pressed. */
export function refusals() {
  return h("p", { class: "problem", role: "alert" });
}

/**
 * Does what was asked for, and says in `alert` why it could not be done. `inputs`: the inputs by the names that the
 * API has for them; the one that is wrong is marked, and gets the focus.
 */
export async function attempt(alert, act, inputs = {}) {
  show(alert, "");
  for (const input of Object.values(inputs)) input.removeAttribute("aria-invalid");
  try {
    await act();
    return true;
  } catch (problem) {
    const wrong = (problem.fields ?? []).map(({ field: name, detail }) => ({ input: inputs[name], detail }));
    const texts = wrong.map(({ input, detail }) => (input ? `${nameOf(input)} ${detail}` : null));
    show(alert, texts.length > 0 && !texts.includes(null) ? `${texts.join("; ")}.` : problem.message);
    for (const { input } of wrong) input?.setAttribute("aria-invalid", "true");
    wrong.find(({ input }) => input)?.input.focus();
    return false;
  }
}

const nameOf = (input) => `“${input.labels?.[0]?.textContent ?? input.name}”`;

/** A button that cannot be pressed again until what it does is done; what it may not do is said in `alert`. */
export function button(text, act, { alert, inputs, ...properties } = {}) {
  const element = h("button", { type: "button", ...properties }, text);
  element.addEventListener("click", () => once(element, () => attempt(alert ?? alertNear(element), act, inputs)));
  return element;
}

/** Does something unless it is being done already. */
export async function once(element, act) {
  if (element.getAttribute("aria-busy") === "true") return;
  element.setAttribute("aria-busy", "true");
  try {
    await act();
  } finally {
    element.removeAttribute("aria-busy");
  }
}

function alertNear(element) {
  return element.closest("fieldset, form, dialog, section")?.querySelector("[role=alert]") ?? refusals();
}

/** Asks before something that cannot be undone: true if the answer is yes. `more` stands between question and answers. */
export function ask({ title, text, yes, no, more, act }) {
  const alert = refusals();
  const heading = h("h2", { id: `ask-${++fields}` }, title);
  const dialog = h("dialog", { "aria-labelledby": heading.id }, heading, h("p", {}, text), more, alert,
    h("div", { class: "row" },
      button(yes, async () => {
        await act();
        dialog.close();
      }, { alert, class: "alarm" }),
      button(no, () => dialog.close(), { class: "quiet", alert })));
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}
