// Who spoke when, drawn from a call's events: a lane for each side, and a stroke where the agent was interrupted.

import { svg } from "./dom.js";
import { clock } from "./format.js";

const [LANE, LEFT, TOP] = [22, 64, 6];
/** The width of a picture that is not on the page yet. */
const WIDTH = 720;
const LANES = ["caller", "agent", "person"];

/** What the timeline is made of. */
export const TIMELINE_EVENTS = [
  "call.started", "turn.started", "turn.ended", "agent.speaking", "agent.resumed", "agent.finished", "agent.interrupted", "agent.retracted", "person.speaking", "person.said", "call.ended",
];

/** Spans and strokes, grown event by event. */
export class Timeline {
  #spans = [];
  #open = new Map();
  #strokes = [];
  #speaking = new Map();
  #latest = 0;
  #began = performance.now();

  take(event) {
    const { at_ms: at, turn } = event;
    // The page's clock and the call's: what is open goes on until now.
    this.#began = Math.min(this.#began, performance.now() - at);
    this.#latest = Math.max(this.#latest, at);
    switch (event.event) {
      case "turn.started": this.#begin("caller", turn, at); break;
      case "turn.ended": this.#end("caller", turn, at); break;
      case "agent.speaking":
      case "agent.resumed": this.#begin("agent", turn, at); break;
      case "agent.finished":
      case "agent.retracted": this.#end("agent", turn, at); break;
      case "agent.interrupted":
        this.#end("agent", turn, at);
        this.#strokes.push(at);
        break;
      // Not everything that a person utters has words.
      case "person.speaking": this.#speaking.set(turn, at); break;
      case "person.said":
        this.#spans.push({ lane: "person", from: this.#speaking.get(turn) ?? at, to: at });
        break;
      case "call.ended":
        for (const key of [...this.#open.keys()]) this.#end(...key.split("/"), at);
        break;
    }
  }

  /** Where in the call `x` of the picture is, in ms; it was drawn from `from` to `to`. */
  static at(element, x, { from, to }) {
    const width = element.clientWidth || WIDTH;
    return from + Math.max(0, Math.min(1, (x - LEFT) / (width - LEFT))) * (to - from);
  }

  /** How much of the call is known, in ms. */
  get length() {
    return this.#latest;
  }

  /** How far a call that goes on has come, in ms. */
  get now() {
    return performance.now() - this.#began;
  }

  #begin(lane, turn, at) {
    const key = `${lane}/${turn}`;
    if (this.#open.has(key)) return;
    const span = { lane, from: at, to: null };
    this.#open.set(key, span);
    this.#spans.push(span);
  }

  #end(lane, turn, at) {
    const key = `${lane}/${turn}`;
    const span = this.#open.get(key);
    if (span) span.to = at;
    this.#open.delete(key);
  }

  /** Draws from `from` to `to` (ms); `cursor`: where playback is. */
  draw(element, { from, to, cursor = null }) {
    const width = element.clientWidth || WIDTH;
    const scale = (width - LEFT) / Math.max(1, to - from);
    const x = (at) => LEFT + (Math.max(from, Math.min(to, at)) - from) * scale;
    const height = TOP + LANES.length * LANE + 18;
    element.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const lanes = LANES.flatMap((lane, index) => {
      const middle = TOP + (index + 0.5) * LANE;
      return [svg("text", { x: 0, y: middle + 4 }, lane), svg("line", { class: "lane", x1: LEFT, x2: width, y1: middle, y2: middle })];
    });
    const spans = this.#spans.filter((span) => (span.to ?? to) >= from && span.from <= to).map(({ lane, from: began, to: ended }) =>
      svg("rect", { class: lane, rx: 2, x: x(began), width: Math.max(2, x(ended ?? to) - x(began)), y: TOP + LANES.indexOf(lane) * LANE + 4, height: LANE - 8 }));
    const strokes = this.#strokes.filter((at) => at >= from && at <= to).map((at) =>
      svg("line", { class: "interrupted", x1: x(at), x2: x(at), y1: TOP, y2: TOP + 2 * LANE }, svg("title", {}, `interrupted at ${clock(at)}`)));
    const step = [1, 2, 5, 10, 30, 60, 120, 300, 600, 1800].find((seconds) => (to - from) / (seconds * 1000) <= width / 80) ?? 3600;
    const ticks = [];
    for (let at = Math.ceil(from / (step * 1000)) * step * 1000; at <= to; at += step * 1000) {
      ticks.push(svg("line", { class: "tick", x1: x(at), x2: x(at), y1: TOP + LANES.length * LANE, y2: TOP + LANES.length * LANE + 4 }),
        svg("text", { x: x(at), y: height - 2, "text-anchor": x(at) - LEFT < 20 ? "start" : width - x(at) < 20 ? "end" : "middle" }, clock(at)));
    }
    const here = cursor === null ? [] : [svg("line", { class: "cursor", x1: x(cursor), x2: x(cursor), y1: 0, y2: height - 14 })];
    element.replaceChildren(...lanes, ...spans, ...strokes, ...ticks, ...here);
  }

  /** The same in words, for those who do not see it. */
  describe() {
    const count = (lane) => this.#spans.filter((span) => span.lane === lane).length;
    return `Timeline: the caller spoke ${count("caller")} times, the agent ${count("agent")}, people ${count("person")}; ${this.#strokes.length} interruptions`;
  }
}
