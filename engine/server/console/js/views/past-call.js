// A call that is over: what was said, and how it sounded.

import * as api from "../api.js";
import { onBack } from "../connection.js";
import { ask, button, h, notice, refusals, show, svg } from "../dom.js";
import { clock, milliseconds, moment, reason } from "../format.js";
import { Timeline } from "../timeline.js";
import { telling } from "./telling.js";
import { transcriptList } from "./transcript.js";

/** For how long after its end a call may come back from where it was sent, in ms. */
const COMES_BACK = 5 * 60_000;
/** When it is looked whether a recording is complete, in ms, each after the one before. */
const COMPLETED = [200, 400, 800, 1_600, 3_200];
/** The clocks of browser and server differ a little, in ms. */
const SKEW = 10_000;

/** `sent`: where the call was sent from this page, if it was. `words`: what was searched for. */
export function pastCall({ call, who, heading, sent, words }) {
  const audio = call.recording ? h("audio", { controls: true, preload: "metadata", "aria-label": "Recording" }) : null;
  const stopWaiting = audio ? whenRecorded(call, () => (audio.src = api.recordingUrl(call.id))) : () => {};
  // When in the call the recording began, in ms.
  let offset = 0;
  const play = (at) => {
    audio.currentTime = Math.max(0, (at - offset) / 1000);
    audio.play();
  };
  /** Where in the call playback is, in ms; null where it has not begun, or is over. */
  const place = () => (audio && !audio.ended && (audio.currentTime > 0 || !audio.paused) ? audio.currentTime * 1000 + offset : null);
  const transcript = transcriptList({ jump: audio ? play : undefined, words: words.split(/\s+/) });
  const tell = telling(transcript);
  const picture = svg("svg", { class: audio ? "timeline seeks" : "timeline", role: "img", "aria-label": "Timeline" });
  const timeline = new Timeline();
  const draw = () => timeline.draw(picture, { from: 0, to: timeline.length, cursor: place() });
  const alert = refusals();
  const continued = goesOn(call, sent);
  // By keyboard the same is done in the transcript, and in the recording's own controls.
  if (audio) picture.addEventListener("click", ({ offsetX }) => play(Timeline.at(picture, offsetX, { from: 0, to: timeline.length })));
  for (const name of ["timeupdate", "seeked", "ended"]) {
    audio?.addEventListener(name, () => {
      transcript.playing(place());
      draw();
    });
  }
  const resized = new ResizeObserver(draw);
  resized.observe(picture);

  // What is still to be told follows the event of this number; null once all is told.
  let told = 0;
  let loading = false;
  async function load() {
    if (loading || told === null) return;
    loading = true;
    try {
      while (told !== null) {
        const { events, next } = await api.events(call.id, told);
        for (const event of events) {
          timeline.take(event);
          if (event.event === "recording" && event.on) offset ||= event.at_ms;
          // Once the call is over it is known how much of a sentence was heard.
          if (event.event !== "agent.sentence") tell(event);
        }
        told = next;
      }
      show(alert, "");
      if (!transcript.hasLines()) transcript.note("Nothing was said, or it was not understood.");
      draw();
      transcript.showFirstMark();
      picture.setAttribute("aria-label", timeline.describe());
    } catch (error) {
      show(alert, error.message);
    } finally {
      loading = false;
    }
  }
  load();
  const back = onBack(load);

  const remove = who.role === "admin" && button("Delete this call", () => {
    ask({
      title: "Delete this call",
      text: "Its words, events and recording are deleted for good. The audit log keeps that they were.",
      yes: "Delete it for good",
      no: "Keep it",
      async act() {
        await api.deleteCall(call.id);
        notice("The call, its words and its recording are gone.");
        location.hash = "#/history";
      },
    });
  }, { alert, class: "alarm" });
  const facts = [
    ["Began", moment(call.started_at)], ["Length", call.duration_ms === null ? "–" : clock(call.duration_ms)],
    ["Ended", call.state === "lost" ? "lost with its server" : reason(call.end_reason)], ["Turns", String(call.turns)],
    ["Interruptions", String(call.interruptions)], ["Takeovers", String(call.takeovers)],
    ["Answers in (p50)", milliseconds(call.latency.p50_ms)], ["Answers in (p95)", milliseconds(call.latency.p95_ms)],
  ];
  return {
    children: [
      heading(call), continued.element,
      h("dl", { class: "card tiles" }, ...facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))),
      h("div", { class: "card" }, picture),
      audio && h("section", { class: "card" }, h("h2", {}, "Recording"), audio,
        h("p", { class: "after" }, h("a", { href: api.recordingUrl(call.id), download: `${call.id}.${call.recording.format}` }, "Save the recording"))),
      alert,
      h("section", { class: "card" }, h("h2", {}, "Transcript"), transcript.element), remove,
    ].filter(Boolean),
    leave() {
      audio?.pause();
      back();
      stopWaiting();
      resized.disconnect();
      continued.leave();
    },
  };
}

/** Does `act` when all of a call's recording is there: its last seconds are written after the call's end. Returns what ends that. */
function whenRecorded(call, act) {
  let timer = null;
  function look({ recording }, asked) {
    // A recording whose disk was full never knows its length, and is as long as it is.
    if (!recording || recording.bytes > 0 || asked === COMPLETED.length) return act();
    timer = setTimeout(() => api.getCall(call.id).then((now) => look(now, asked + 1), () => act()), COMPLETED[asked]);
    return undefined;
  }
  look(call, 0);
  return () => clearTimeout(timer);
}

/** What came before a call, and what after, where it was given away. */
function goesOn(call, sent) {
  const to = (id, text) => h("a", { href: `#/call/${encodeURIComponent(id)}` }, text);
  const element = h("div", { class: "card went-on", role: "status", hidden: true });
  const { continues, transfer } = call.metadata;
  if (typeof continues === "string") element.append(h("p", {}, `Came back from a transfer (${reason(transfer)}). `, to(continues, "The call before")));
  const next = h("p");
  if (sent) {
    const where = sent.to === "number" ? sent.where : `the ${sent.to} “${sent.where}”`;
    const comesBack = sent.to === "number" && !sent.isWarm;
    show(next, `The call went to ${where}.${comesBack ? " If nobody takes it there, it comes back to the agent, and a link to it stands here." : ""}`);
    element.append(next);
  }
  element.hidden = element.children.length === 0;

  const endedAt = Date.parse(call.ended_at);
  let found = false;
  async function look() {
    if (found) return;
    const { calls } = await api.calls({ number: call.from, since: new Date(endedAt - SKEW).toISOString(), limit: 50 }).catch(() => ({ calls: [] }));
    const after = calls.find(({ metadata }) => metadata.continues === call.id);
    if (!after || found) return;
    found = true;
    stop();
    next.replaceChildren(`The caller is back with the agent: ${reason(after.metadata.transfer)}. `, to(after.id, "Go to the call"));
    element.append(next);
    element.hidden = false;
  }
  let stop = () => {};
  if (call.from && call.ended_at) {
    look();
    if (Date.now() - endedAt < COMES_BACK) stop = api.watchAll(["call.started"], look, look);
  }
  return { element, leave: () => stop() };
}
