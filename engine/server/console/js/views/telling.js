// What happened in a call, told in its transcript.

import { failure, handoff, mode as modeInWords } from "../format.js";

/** What is told beside what the timeline shows. */
export const TOLD_EVENTS = [
  "transcript.final", "agent.finished", "agent.interrupted", "agent.retracted", "person.said", "person.joined", "person.mode", "person.left", "handoff",
  "agent.paused", "agent.unpaused", "agent.guided", "digits.sent", "dtmf", "error",
];

/** Tells events, one by one and in order, in `transcript`. */
export function telling(transcript) {
  const names = new Map();

  function say(speaker, event, text) {
    transcript.line({ ...event, speaker, text: text.trim() });
  }

  return (event) => {
    const someone = names.get(event.person) ?? "Somebody";
    const note = (text, more) => text && transcript.note(text, { at: event.at_ms, ...more });
    switch (event.event) {
      case "transcript.partial": return transcript.partial(event);
      case "transcript.final": return say("caller", event, event.text);
      case "agent.sentence": return transcript.sentence(event);
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
      case "person.left": return note(`${someone} is off the call.`);
      case "handoff": return note(handoff(event));
      case "agent.paused": return note("The agent is paused.");
      case "agent.unpaused": return note(event.reason === "too_long" ? "The agent goes on: it was paused for too long." : "The agent goes on.");
      case "agent.guided": return note(`Guidance from ${event.from}: ${event.text}`);
      case "digits.sent": return note(`Keys sent: ${event.digits}`);
      case "dtmf": return note(`The caller pressed ${event.digit}`);
      case "error": return note(failure(event), { alarm: true });
      default: return undefined;
    }
  };
}
