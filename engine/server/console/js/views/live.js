// The calls that go on.

import * as api from "../api.js";
import { onBack } from "../connection.js";
import { h, heads, show } from "../dom.js";
import { clock, floor, held, milliseconds, number } from "../format.js";

/** What changes who is listed, or how a call looks in the list. */
const TELLING = [
  "call.started", "call.ended", "turn.started", "turn.ended", "agent.speaking", "agent.finished", "agent.interrupted", "turn.metrics",
  "person.joined", "person.left", "person.mode", "handoff", "agent.paused", "agent.unpaused",
];
/** However much happens, the list is asked for no more often than this, in ms. */
const EVERY = 400;

export function livePage() {
  const body = h("tbody");
  const count = h("p", { class: "soft", role: "status" }, "Loading…");
  const table = h("div", { class: "card scroll" },
    h("table", { class: "stack" },
      h("caption", { class: "unseen" }, "Live calls, the newest first"),
      h("thead", {}, h("tr", {}, ...heads(["Call", "For", "Held by", "Floor", "Answers in", "People"], ["For", "Answers in", "People"]))),
      body));
  const rows = new Map();
  let asked = 0;
  let due = null;
  let left = false;

  async function refresh() {
    due = null;
    asked = Date.now();
    try {
      const [{ calls: dialing }, { calls: live, next }] = await Promise.all(["dialing", "live"].map((state) => api.calls({ state, limit: 200 })));
      if (left) return;
      const calls = [...dialing, ...live];
      update(calls);
      show(count, calls.length === 0 ? "No calls right now." : `${calls.length}${next ? " or more" : ""} ${calls.length === 1 ? "call" : "calls"}`);
    } catch (problem) {
      if (!left && problem.status !== 0) show(count, problem.message);
    }
  }

  function soon() {
    if (due === null && !left) due = setTimeout(refresh, Math.max(0, asked + EVERY - Date.now()));
  }

  function update(calls) {
    const ids = new Set(calls.map(({ id }) => id));
    for (const [id, row] of rows) {
      if (!ids.has(id)) {
        row.element.remove();
        rows.delete(id);
      }
    }
    calls.forEach((call, index) => {
      if (!rows.has(call.id)) rows.set(call.id, makeRow(call));
      const row = rows.get(call.id);
      row.update(call);
      // Moving a row would take the focus from the link in it.
      if (body.children[index] !== row.element) body.insertBefore(row.element, body.children[index] ?? null);
    });
    table.hidden = calls.length === 0;
  }

  const tick = setInterval(() => rows.forEach((row) => row.tick()), 1_000);
  const stop = api.watchAll(TELLING, soon, soon);
  const back = onBack(soon);
  // What happens on other servers, or while the stream is being opened again.
  const anyway = setInterval(soon, 10_000);
  refresh();

  return {
    element: h("section", {}, h("h1", {}, "Live calls"), count, table),
    leave() {
      left = true;
      stop();
      back();
      clearInterval(tick);
      clearInterval(anyway);
      clearTimeout(due);
    },
  };
}

function makeRow(call) {
  const cell = (label, kind = "") => h("td", { "data-label": label, class: kind });
  const [length, holder, speaker, latency, people] = [cell("For", "number"), cell("Held by"), cell("Floor"), cell("Answers in", "number"), cell("People", "number")];
  const chip = h("span", { class: "chip" });
  speaker.append(chip);
  const link = h("a", { href: `#/call/${encodeURIComponent(call.id)}` }, `${number(call.from)} → ${number(call.to)}`);
  const began = Date.parse(call.started_at);
  const row = {
    element: h("tr", {}, h("td", { "data-label": "Call" }, link), length, holder, speaker, latency, people),
    tick: () => show(length, clock(Date.now() - began)),
    update({ state, live, latency: { p50_ms } }) {
      row.tick();
      show(holder, held(live) || "–");
      const { text, kind } = floor(live);
      show(chip, state === "dialing" ? "being dialled" : text);
      chip.className = `chip ${kind}`;
      show(latency, milliseconds(p50_ms));
      show(people, String(live?.people.length ?? 0));
    },
  };
  return row;
}
