// One call: what is said in it, and, while it goes on, what can be done.

import * as api from "../api.js";
import { button, h, notice, show, svg } from "../dom.js";
import { clock, floor, held, milliseconds, moment, mode as modeInWords, number, reason } from "../format.js";
import { Timeline, TIMELINE_EVENTS } from "../timeline.js";
import { actions, legControls } from "./controls.js";
import { transcriptList } from "./transcript.js";

/** What changes the heading of a call. */
const TELLING = [
  ...TIMELINE_EVENTS, "turn.metrics", "person.joined", "person.mode", "person.left", "handoff", "agent.paused", "agent.unpaused", "agent.guided", "digits.sent",
];
/** How much of a live call the timeline shows, in ms. */
const WINDOW = 60_000;

export function callPage({ who, argument: id }) {
  const element = h("section", {}, h("h1", {}, "Call"), h("p", { class: "soft" }, "Loading…"));
  let left = false;
  let leave = () => {};
  api.getCall(id).then(
    (call) => {
      if (left) return;
      const shown = call.state === "live" ? liveCall(call, who, replace) : pastCall(call, who);
      replace(shown);
    },
    (problem) => element.replaceChildren(h("h1", {}, "Call"), h("p", { class: "problem" }, problem.message)),
  );

  function replace(shown) {
    leave();
    leave = shown.leave;
    element.replaceChildren(...shown.children);
    document.title = `${element.querySelector("h1").textContent} – Sidetone`;
  }

  return {
    element,
    leave() {
      left = true;
      leave();
    },
  };
}

function heading(call) {
  return h("h1", {}, `${number(call.from)} → ${number(call.to)}`);
}

function liveCall(call, who, replace) {
  const began = Date.parse(call.started_at);
  const [length, holder, speaker, latency, people] = [h("dd"), h("dd"), h("dd"), h("dd"), h("dd")];
  const tiles = h("div", { class: "card tiles" },
    ...[["For", length], ["Held by", holder], ["Floor", speaker], ["Answers in (p50)", latency], ["People", people]]
      .map(([name, value]) => h("dl", { class: "tile" }, h("dt", {}, name), value)));
  const picture = svg("svg", { class: "timeline", role: "img", "aria-label": "Timeline" });
  const timeline = new Timeline();
  const transcript = transcriptList();
  const names = new Map();
  const canAct = who.role !== "viewer";
  const leg = legControls(call.id, { canSpeak: canAct });
  const acts = canAct ? actions(call.id) : null;
  let due = null;
  let over = false;

  async function refresh() {
    due = null;
    try {
      const now = await api.getCall(call.id);
      if (over) return;
      if (now.state !== "live") return end(now);
      update(now);
    } catch (problem) {
      if (!over) show(holder, problem.message);
    }
  }

  function update({ live, latency: { p50_ms } }) {
    show(holder, held(live) || "–");
    show(speaker, floor(live).text);
    show(latency, milliseconds(p50_ms));
    show(people, live?.people.map(({ name, mode }) => `${name} (${modeInWords(mode)})`).join(", ") || "nobody");
    acts?.update(live);
  }

  function soon() {
    if (due === null && !over) due = setTimeout(refresh, 150);
  }

  function happened(name, event) {
    timeline.take(event);
    if (name === "agent.guided") transcript.note(`Guidance from ${event.from}: ${event.text}`);
    if (name === "person.joined") names.set(event.person, event.name);
    if (name === "person.joined" || name === "person.mode") transcript.note(`${names.get(event.person) ?? "Somebody"} is ${modeInWords(event.mode)}.`);
    if (name === "person.left") transcript.note(`${names.get(event.person) ?? "Somebody"} is off the call.`);
    if (name === "digits.sent") transcript.note(`Keys sent: ${event.digits}`);
    soon();
  }

  function end(now) {
    stop();
    notice(`The call is over: ${reason(now.end_reason)}.`);
    replace(pastCall(now, who));
  }

  const stopEvents = api.watchEvents(call.id, TELLING, happened);
  const stopLines = api.watchTranscript(call.id, (name, said) => (name === "end" ? setTimeout(soon, 500) : transcript[name](said)));
  const tick = setInterval(() => {
    show(length, clock(Date.now() - began));
    const now = timeline.now;
    timeline.draw(picture, { from: Math.max(0, now - WINDOW), to: Math.max(now, WINDOW / 4) });
  }, 250);
  const describe = setInterval(() => picture.setAttribute("aria-label", timeline.describe()), 5_000);
  const anyway = setInterval(soon, 5_000);

  function stop() {
    if (over) return;
    over = true;
    stopEvents();
    stopLines();
    [tick, describe, anyway].forEach(clearInterval);
    clearTimeout(due);
    leg.leave();
  }

  update(call);
  show(length, clock(Date.now() - began));
  return {
    children: [
      heading(call), tiles, h("div", { class: "card" }, picture),
      h("div", { class: "columns" }, h("div", { class: "card" }, h("h2", {}, "Transcript"), transcript.element), h("div", {}, leg.element, acts?.element ?? "")),
    ],
    leave: stop,
  };
}

function pastCall(call, who) {
  const audio = call.recording ? h("audio", { controls: true, preload: "metadata", src: api.recordingUrl(call.id) }) : null;
  const play = (at) => {
    audio.currentTime = Math.max(0, at / 1000);
    audio.play();
  };
  const transcript = transcriptList({ jump: audio ? play : undefined });
  const picture = svg("svg", { class: "timeline", role: "img", "aria-label": "Timeline" });
  const timeline = new Timeline();
  const draw = () => timeline.draw(picture, { from: 0, to: timeline.length, cursor: audio && !audio.paused ? audio.currentTime * 1000 : null });
  audio?.addEventListener("timeupdate", () => {
    transcript.playing(audio.paused ? null : audio.currentTime * 1000);
    draw();
  });
  const problem = h("p", { class: "problem", role: "alert" });

  async function load() {
    try {
      const { lines } = await api.transcript(call.id);
      lines.forEach(transcript.line);
      if (lines.length === 0) transcript.note("Nothing was said, or it was not understood.");
      for (let after = 0; after !== null; ) {
        const { events, next } = await api.events(call.id, after);
        events.forEach((event) => timeline.take(event));
        after = next;
      }
      draw();
      picture.setAttribute("aria-label", timeline.describe());
    } catch (error) {
      show(problem, error.message);
    }
  }
  load();

  const remove = button("Delete this call", async () => {
    if (remove.dataset.sure !== "true") {
      remove.dataset.sure = "true";
      show(remove, "Delete it for good: sure?");
      return;
    }
    await api.deleteCall(call.id);
    notice("The call, its words and its recording are gone.");
    location.hash = "#/history";
  }, { class: "alarm" });
  const facts = [
    ["Began", moment(call.started_at)], ["Length", call.duration_ms === null ? "–" : clock(call.duration_ms)],
    ["Ended", call.state === "lost" ? "lost with its server" : reason(call.end_reason)], ["Turns", String(call.turns)],
    ["Interruptions", String(call.interruptions)], ["Takeovers", String(call.takeovers)], ["Answers in (p50)", milliseconds(call.latency.p50_ms)],
  ];
  return {
    children: [
      heading(call),
      h("div", { class: "card tiles" }, ...facts.map(([name, value]) => h("dl", { class: "tile" }, h("dt", {}, name), h("dd", {}, value)))),
      h("div", { class: "card" }, picture), audio && h("div", { class: "card" }, h("h2", {}, "Recording"), audio), problem,
      h("div", { class: "card" }, h("h2", {}, "Transcript"), transcript.element),
      who.role === "admin" ? remove : null,
    ].filter(Boolean),
    leave: () => audio?.pause(),
  };
}
