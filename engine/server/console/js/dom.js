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

/** A field with its label. */
export function field(label, input) {
  input.id ||= `field-${++fields}`;
  return h("div", { class: "field" }, h("label", { for: input.id }, label), input);
}
let fields = 0;

/** Tells the user something for a while; what went wrong stays longer. */
export function notice(text, { alarm = false } = {}) {
  const shown = h("div", { class: alarm ? "notice alarm" : "notice" }, text);
  document.getElementById("notices").append(shown);
  setTimeout(() => shown.remove(), alarm ? 12_000 : 5_000);
}

/** A button that cannot be pressed again until what it does is done. */
export function button(text, act, properties = {}) {
  const element = h("button", { type: "button", ...properties }, text);
  element.addEventListener("click", async () => {
    if (element.getAttribute("aria-busy") === "true") return;
    element.setAttribute("aria-busy", "true");
    try {
      await act(element);
    } catch (problem) {
      notice(problem.message, { alarm: true });
    } finally {
      element.removeAttribute("aria-busy");
    }
  });
  return element;
}
