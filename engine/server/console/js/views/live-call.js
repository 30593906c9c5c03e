// A call that goes on: what is said in it, and what can be done.

import * as api from "../api.js";
import { onBack } from "../connection.js";
import { h, notice, show, svg } from "../dom.js";
import { clock, floor, held, isPending, milliseconds, reason } from "../format.js";
import * as presence from "../presence.js";
import { Timeline, TIMELINE_EVENTS } from "../timeline.js";
import { callControls, keypad, tellAgent } from "./agent.js";
import { legControls } from "./leg-controls.js";
import { peopleList, phoneCalls } from "./people.js";
import { TOLD_EVENTS, telling } from "./telling.js";
import { transcriptList } from "./transcript.js";
import { transfers } from "./transfer.js";

/** What the page listens to. */
const TELLING = [...new Set([...TIMELINE_EVENTS, ...TOLD_EVENTS, "transcript.partial", "agent.sentence", "turn.metrics"])];
/** How much of a live call the timeline shows, in ms. */
const WINDOW = 60_000;
/** How soon after something happened the call is looked at, in ms: much happens together. */
const SOON = 150;
/** How often it is looked at anyway, in ms; and while somebody's phone rings, of which no event tells. */
const [EVERY, RINGING] = [5_000, 1_000];

/** `ended(call, sent)` is called once the call is over. */
export function liveCall({ call, who, heading, ended }) {
  const label = heading(call).textContent;
  const began = Date.parse(call.started_at);
  const [length, holder, latency] = [h("dd"), h("dd"), h("dd")];
  const speaker = h("span", { class: "chip" });
  const tiles = h("dl", { class: "card tiles" },
    ...[["For", length], ["Held by", holder], ["Floor", h("dd", {}, speaker)], ["Answers in (p50)", latency]]
      .map(([name, value]) => h("div", {}, h("dt", {}, name), value)));
  const picture = svg("svg", { class: "timeline", role: "img", "aria-label": "Timeline" });
  const timeline = new Timeline();
  const transcript = transcriptList({ grows: true });
  const tell = telling(transcript);
  const canAct = who.role !== "viewer";
  let latest = call.live;
  let [due, dueAt] = [null, 0];
  let [asked, answered] = [0, 0];
  let over = false;

  const leg = legControls({ call: call.id, label, canSpeak: canAct, changed: () => people.update(latest) });
  const people = peopleList(call.id, { canAct, own: leg.person });
  const acts = canAct ? { phone: phoneCalls(call.id, { asked: refresh }), transfer: transfers(call.id, { asked: refresh }), control: callControls(call.id) } : {};

  async function refresh() {
    clearTimeout(due);
    due = null;
    const mine = ++asked;
    try {
      const now = await api.getCall(call.id);
      // Answers may overtake each other.
      if (over || mine < answered) return;
      answered = mine;
      if (now.state !== "live") return end(now);
      update(now);
    } catch (problem) {
      // That the server is gone is said above the page.
      if (!over && problem.status !== 0) show(holder, problem.message);
    }
  }

  function update({ live, latency: { p50_ms } }) {
    latest = live;
    show(holder, held(live) || "–");
    const { text, kind } = floor(live);
    show(speaker, text);
    speaker.setAttribute("class", `chip ${kind}`);
    show(latency, milliseconds(p50_ms));
    for (const part of [leg, people, ...Object.values(acts)]) part.update(live);
    if (isPending(live)) soon(RINGING);
  }

  function soon(ms = SOON) {
    const at = performance.now() + ms;
    if (over || (due !== null && dueAt <= at)) return;
    clearTimeout(due);
    [due, dueAt] = [setTimeout(refresh, ms), at];
  }

  function happened(name, event) {
    timeline.take(event);
    tell(event);
    if (name !== "transcript.partial") soon();
  }

  function end(now) {
    const sent = acts.transfer?.sent() ?? null;
    stop();
    if (presence.on(call.id)) presence.leave();
    if (!sent) notice(now.state === "lost" ? "The server that held the call is gone, and the call with it." : `The call is over: ${reason(now.end_reason)}.`);
    ended(now, sent);
  }

  const stopEvents = api.watchCall(call.id, TELLING, happened, () => soon());
  const back = onBack(() => soon());
  const tick = setInterval(() => {
    show(length, clock(Date.now() - began));
    const now = timeline.now;
    timeline.draw(picture, { from: Math.max(0, now - WINDOW), to: Math.max(now, WINDOW / 4) });
  }, 250);
  const describe = setInterval(() => picture.setAttribute("aria-label", timeline.describe()), EVERY);
  const anyway = setInterval(() => soon(), EVERY);

  function stop() {
    if (over) return;
    over = true;
    stopEvents();
    back();
    [tick, describe, anyway].forEach(clearInterval);
    clearTimeout(due);
    leg.leave();
  }

  update(call);
  leg.begin();
  show(length, clock(Date.now() - began));
  return {
    children: [
      h("div", { class: "heading" }, heading(call), acts.control?.element), tiles, h("div", { class: "card" }, picture),
      h("div", { class: "desk" },
        h("div", { class: "words" }, h("section", { class: "card" }, h("h2", {}, "Transcript"), transcript.element), canAct && tellAgent(call.id)),
        h("div", { class: "side" }, leg.element, people.element, canAct && keypad(call.id)),
        canAct && h("div", { class: "away" }, acts.phone.element, acts.transfer.element)),
    ],
    leave: stop,
  };
}
