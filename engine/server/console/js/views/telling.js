// What happened in a call, told in its transcript.

import { failure, handoff, mode as modeInWords } from "../format.js";

/** What the transcript is made of. */
export const TOLD_EVENTS = [
  "turn.started", "agent.speaking", "person.speaking", "transcript.final", "agent.finished", "agent.interrupted", "agent.retracted",
  "person.said", "person.joined", "person.mode", "person.left", "handoff", "agent.paused", "agent.unpaused", "agent.guided",
  "digits.sent", "dtmf", "error",
];

/** Tells events, one by one and in order, in `transcript`. */
export function telling(transcript) {
  const names = new Map();
  // When somebody began to speak, by the turn: the words are known later.
  const began = new Map();

  const timed = (event) => ({ ...event, from_ms: began.get(event.turn) ?? event.at_ms });

  function say(speaker, event, text) {
    transcript.line({ ...timed(event), speaker, text: text.trim() });
  }

  return (event) => {
    const someone = names.get(event.person) ?? "Somebody";
    const note = (text, more) => text && transcript.note(text, { at: event.at_ms, ...more });
    switch (event.event) {
      case "turn.started":
      case "agent.speaking":
      case "person.speaking": return began.has(event.turn) || began.set(event.turn, event.at_ms);
      case "transcript.partial": return transcript.partial(timed(event));
      case "transcript.final": return say("caller", event, event.text);
      case "agent.sentence": return transcript.sentence(timed(event));
      case "agent.finished": return say("agent", event, event.heard);
      case "agent.interrupted":
        say("agent", event, event.heard);
        return transcript.interrupted(event);
      case "agent.retracted": return transcript.retracted(event);
      case "person.said": return say("person", event, event.text);
      case "person.joined":
        names.set(event.person, event.name);
        return note(`${event.name} is ${modeInWords(event.mode)}.`);
      case "person.mode": return note(`${someone} is ${modeInWords(event.mode)}.`);
      case "person.left": return note(`${someone} ${event.reason === "removed" ? "was taken" : "is"} off the call.`);
      case "handoff": return note(handoff(event));
      case "agent.paused": return note("The agent is paused.");
      case "agent.unpaused": return note(event.reason === "too_long" ? "The agent goes on: it was paused for too long." : "The agent goes on.");
      case "agent.guided": return note(`Guidance from ${event.from}: ${event.text}`);
      case "digits.sent": return note(`Keys sent: ${event.digits}`);
      case "dtmf": return note(`The caller pressed ${event.digit}`);
      case "error": return note(failure(event), { alarm: event.kind === "service" });
      default: return undefined;
    }
  };
}
