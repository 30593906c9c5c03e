// Calls of the past: finding them.

import * as api from "../api.js";
import { field, h, heads, refusals, show } from "../dom.js";
import { clock, dialable, moment, number, reason } from "../format.js";

const STATES = [["", "any"], ["ended", "ended"], ["lost", "lost"], ["live", "live"]];

/** What is searched for stands in the address, so that it is there again after a look at a call. */
export function historyPage({ query: asked }) {
  const given = (name) => asked.get(name) ?? "";
  const text = h("input", { type: "search", name: "text", maxlength: 200, autocomplete: "off", value: given("text") });
  const phone = h("input", { type: "tel", name: "number", maxlength: 100, autocomplete: "off", value: given("number") });
  const since = h("input", { type: "date", name: "since", value: given("since") });
  const until = h("input", { type: "date", name: "until", value: given("until") });
  const state = h("select", { name: "state" }, ...STATES.map(([value, name]) => h("option", { value, selected: value === given("state") }, name)));
  const body = h("tbody");
  const status = h("p", { class: "soft", role: "status" });
  const alert = refusals();
  const more = h("button", { type: "button", class: "quiet", hidden: true }, "Older calls");
  const results = h("div", { class: "card scroll", hidden: true },
    h("table", { class: "stack" },
      h("caption", { class: "unseen" }, "Calls, the newest first"),
      h("thead", {}, h("tr", {}, ...heads(["Began", "Call", "Length", "Turns", "Ended"], ["Length", "Turns"]))),
      body));
  let query = {};
  let next = null;
  let search = 0;

  async function load() {
    const mine = ++search;
    show(status, "Searching…");
    show(alert, "");
    try {
      const page = await api.calls({ ...query, cursor: next, limit: 50 });
      if (mine !== search) return;
      body.append(...page.calls.map((call) => row(call, query.text)));
      next = page.next;
      more.hidden = !next;
      results.hidden = body.children.length === 0;
      show(status, body.children.length === 0 ? "No call matches." : `${body.children.length} ${body.children.length === 1 ? "call" : "calls"}${next ? ", and older ones" : ""}`);
    } catch (problem) {
      if (mine !== search) return;
      show(status, "");
      show(alert, problem.message);
    }
  }

  function begin(event) {
    event?.preventDefault();
    const wanted = { text: text.value.trim(), number: dialable(phone.value), state: state.value, since: since.value, until: until.value };
    const fields = new URLSearchParams(Object.entries(wanted).filter(([, value]) => value)).toString();
    history.replaceState(null, "", `#/history${fields && `?${fields}`}`);
    query = { ...wanted, since: day(since.value, 0), until: day(until.value, 1) };
    next = null;
    body.replaceChildren();
    load();
  }

  more.addEventListener("click", load);
  const form = h("form", { class: "card", role: "search", onsubmit: begin },
    h("div", { class: "fields" },
      field("Words said", text), field("Number", phone), field("From", since), field("To", until), field("State", state),
      h("div", { class: "field submit" }, h("button", { type: "submit" }, "Search"))));
  begin();
  return { element: h("section", {}, h("h1", {}, "History"), form, status, alert, results, more) };
}

/** The beginning of a day, here, `days` later. */
function day(value, days) {
  if (!value) return "";
  const [year, month, date] = value.split("-").map(Number);
  return new Date(year, month - 1, date + days).toISOString();
}

function row(call, words) {
  const ended = { dialing: "is being dialled", live: "goes on", lost: "lost with its server" }[call.state] ?? reason(call.end_reason);
  return h("tr", {},
    h("td", { "data-label": "Began" }, moment(call.started_at)),
    h("td", { "data-label": "Call" }, h("a", { href: `#/call/${encodeURIComponent(call.id)}${words ? `?${new URLSearchParams({ text: words })}` : ""}` }, `${number(call.from)} → ${number(call.to)}`)),
    h("td", { "data-label": "Length", class: "number" }, call.duration_ms === null ? "–" : clock(call.duration_ms)),
    h("td", { "data-label": "Turns", class: "number" }, String(call.turns)),
    h("td", { "data-label": "Ended" }, ended));
}
