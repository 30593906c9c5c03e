// Times, lengths and names as people read them.

export function clock(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const two = (number) => String(number).padStart(2, "0");
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

export function moment(timestamp) {
  return new Date(timestamp).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}

export function milliseconds(ms) {
  return ms === null || ms === undefined ? "–" : `${ms} ms`;
}

export function percent(share) {
  return `${(100 * share).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`;
}

export function number(text) {
  return text || "unknown";
}

const MODES = { monitor: "listening", whisper: "coaching", barge: "in the call", takeover: "speaking in place of the agent" };
export function mode(name) {
  return MODES[name] ?? name;
}

/** Who a call is with, in words. */
export function held(live) {
  if (!live) return "";
  const by = live.people.find((person) => person.id === live.handoff.person);
  switch (live.handoff.state) {
    case "requested": return "agent, calling a person";
    case "ringing": return "agent, a person's phone rings";
    case "bridged": return live.handoff.mode === "takeover" ? (by?.name ?? "a person") : `agent and ${by?.name ?? "a person"}`;
    default: return live.paused ? "agent paused" : "agent";
  }
}

/** Who speaks, in a word, and the class that colours it. */
export function floor(live) {
  switch (live?.floor.speaker) {
    case "caller": return { text: "caller speaks", kind: "caller" };
    case "agent": return { text: "agent speaks", kind: "agent" };
    case "person": {
      const person = live.people.find(({ id }) => id === live.floor.person);
      return { text: `${person?.name ?? "person"} speaks`, kind: "person" };
    }
    default: return { text: "silence", kind: "" };
  }
}

const STEPS = {
  dialing: "Calling NAME…",
  ringing: "NAME’s phone rings.",
  joined: "NAME is on the call.",
  left: "NAME was on the call and has left.",
  accepted: "NAME takes the call: it is being put through.",
};
const WHY_NOT = {
  busy: "the line is busy", "no-answer": "nobody answered", failed: "the number cannot be reached", canceled: "it was called off",
  "hung-up": "they answered, and did not take the call", machine: "a machine answered",
};

/** How far somebody is who was called to the phone, in words; empty if nobody was. */
export function phone(live) {
  const called = live?.phone;
  if (!called) return "";
  const name = called.name || called.number;
  if (called.state === "failed") return `${name} does not come: ${WHY_NOT[called.why] ?? called.why}.`;
  return STEPS[called.state].replace("NAME", () => name);
}

/** Whether somebody who was called to the phone may still come. */
export function isPending(live) {
  return ["dialing", "ringing"].includes(live?.phone?.state);
}

/** A telephone number as the API wants it, from the ways in which people write it. */
export function dialable(text) {
  return text.replace(/[\s().\/-]/g, "").replace(/^00/, "+");
}

const BACK = {
  handed_back: "it was handed back", left: "who spoke with the caller has left", stalled: "no audio came from who spoke with the caller",
  no_answer: "nobody came in time", failed: "nobody comes",
};

/** A step of the call between the agent and people, in words; null where other events say it. */
export function handoff({ state, back }) {
  if (state === "requested") return "The agent tells the caller that somebody is being called.";
  return state === "agent" && back ? `The agent has the call again: ${BACK[back] ?? back}.` : null;
}

const SERVICES = { stt: "Speech recognition", llm: "The language model", tts: "Speech synthesis", turn: "Turn detection" };

/** What failed in a call, in words. */
export function failure({ kind, service, detail }) {
  return kind === "service" ? `${SERVICES[service] ?? service} failed: ${detail}` : `The line: ${detail}`;
}

const REASONS = {
  caller_hung_up: "caller hung up", leg_lost: "connection lost", agent_hung_up: "agent said goodbye", caller_silent: "caller said nothing",
  commanded: "ended by an operator or with the server", services_failed: "services failed", no_start: "never started", leg_silent: "line went dead",
  leg_stalled: "line stalled", leg_abusive: "line misbehaved", refused: "refused", internal_error: "internal error",
  "no-answer": "no answer",
};
export function reason(name) {
  return name ? (REASONS[name] ?? name) : "";
}
