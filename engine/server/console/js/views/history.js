// Calls of the past: finding them.

import * as api from "../api.js";
import { field, h, show } from "../dom.js";
import { clock, moment, number, reason } from "../format.js";

export function historyPage() {
  const text = h("input", { type: "search", name: "text", maxlength: 200, autocomplete: "off" });
  const phone = h("input", { type: "tel", name: "number", maxlength: 100, autocomplete: "off" });
  const since = h("input", { type: "date", name: "since" });
  const until = h("input", { type: "date", name: "until" });
  const state = h("select", { name: "state" },
    h("option", { value: "" }, "any"), h("option", { value: "ended" }, "ended"), h("option", { value: "lost" }, "lost"), h("option", { value: "live" }, "live"));
  const body = h("tbody");
  const status = h("p", { class: "soft", role: "status" });
  const more = h("button", { type: "button", class: "quiet", hidden: true }, "Older calls");
  const results = h("div", { class: "card scroll", hidden: true },
    h("table", { class: "stack" },
      h("caption", {}, "Calls, the newest first"),
      h("thead", {}, h("tr", {}, ...["Began", "Call", "Length", "Turns", "Ended"].map((name) => h("th", { scope: "col" }, name)))),
      body));
  let query = {};
  let next = null;
  let search = 0;

  async function load() {
    const mine = ++search;
    show(status, "Searching…");
    try {
      const page = await api.calls({ ...query, cursor: next, limit: 50 });
      if (mine !== search) return;
      body.append(...page.calls.map(row));
      next = page.next;
      more.hidden = !next;
      results.hidden = body.children.length === 0;
      show(status, body.children.length === 0 ? "No call matches." : `${body.children.length} ${body.children.length === 1 ? "call" : "calls"}${next ? ", and older ones" : ""}`);
    } catch (problem) {
      if (mine === search) show(status, problem.message);
    }
  }

  function begin(event) {
    event?.preventDefault();
    query = {
      text: text.value.trim(), number: phone.value.trim(), state: state.value,
      since: day(since.value, 0), until: day(until.value, 1),
    };
    next = null;
    body.replaceChildren();
    load();
  }

  more.addEventListener("click", load);
  const form = h("form", { class: "card", role: "search", onsubmit: begin },
    h("div", { class: "fields" },
      field("Words said", text), field("Number", phone), field("From", since), field("To", until), field("State", state),
      h("div", { class: "field" }, h("button", { type: "submit" }, "Search"))));
  begin();
  return { element: h("section", {}, h("h1", {}, "History"), form, status, results, more) };
}

/** The beginning of a day, here, `days` later. */
function day(value, days) {
  if (!value) return "";
  const [year, month, date] = value.split("-").map(Number);
  return new Date(year, month - 1, date + days).toISOString();
}

function row(call) {
  const ended = { live: "goes on", lost: "lost with its server" }[call.state] ?? reason(call.end_reason);
  return h("tr", {},
    h("td", { "data-label": "Began" }, moment(call.started_at)),
    h("td", { "data-label": "Call" }, h("a", { href: `#/call/${encodeURIComponent(call.id)}` }, `${number(call.from)} → ${number(call.to)}`)),
    h("td", { "data-label": "Length", class: "number" }, call.duration_ms === null ? "–" : clock(call.duration_ms)),
    h("td", { "data-label": "Turns", class: "number" }, String(call.turns)),
    h("td", { "data-label": "Ended" }, ended));
}
