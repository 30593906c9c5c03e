// What was said in a call, as it is said.

import { h, show } from "../dom.js";
import { clock } from "../format.js";

const NAMES = { caller: "Caller", agent: "Agent" };

/**
 * A list of what was said. `grows`: the newest line stays in sight. `jump(ms)` is called for a line's time, where there
 * is a recording; of the words, those that begin with one of `words` are marked.
 */
export function transcriptList({ grows = false, jump, words = [] } = {}) {
  const list = h("ol", { class: "transcript", "aria-label": "Transcript", tabindex: 0 });
  const lines = new Map();
  const partials = new Map();
  let follows = grows;
  let due = false;

  // Who reads something further up stays there.
  list.addEventListener("scroll", () => (follows = grows && list.scrollHeight - list.scrollTop - list.clientHeight < 40));
  function grown() {
    if (due || !follows) return;
    due = true;
    requestAnimationFrame(() => {
      due = false;
      list.scrollTop = list.scrollHeight;
    });
  }

  function time(at) {
    return jump ? h("button", { type: "button", class: "jump", onclick: () => jump(at), "aria-label": `Play from ${clock(at)}` }, clock(at)) : clock(at);
  }

  /** Puts something where it belongs by its time, in ms: the words of a turn are known after it. */
  function place(element, at) {
    element.dataset.at = at;
    let after = list.lastElementChild;
    while (after && Number(after.dataset.at) > at) after = after.previousElementSibling;
    if (after) after.after(element);
    else list.prepend(element);
    grown();
  }

  function item(kind, properties, at, name, ...text) {
    return h("li", { class: `said ${kind}`, ...properties }, h("span", { class: "time" }, at), h("span", {}, h("span", { class: "name" }, name), ...text));
  }

  function partialOf({ turn, from_ms }, speaker) {
    if (!partials.has(turn)) {
      const [stable, rest] = [h("span"), h("span", { class: "unstable" })];
      const element = item(speaker, { "data-partial": turn }, "…", NAMES[speaker], stable, " ", rest);
      partials.set(turn, { element, stable, rest, speaker });
      place(element, from_ms);
    }
    return partials.get(turn);
  }

  function drop(turn) {
    partials.get(turn)?.element.remove();
    partials.delete(turn);
  }

  /** What the agent was about to say before `turn`, and did not, is gone. */
  function dropUnsaid(turn) {
    for (const [before, { speaker }] of partials) if (speaker === "agent" && before < turn) drop(before);
  }

  return {
    element: list,
    line({ seq, from_ms, turn, speaker, name, text }) {
      if (lines.has(seq)) return;
      drop(turn);
      if (speaker === "caller") dropUnsaid(turn);
      if (!text) return;
      const element = item(speaker, { "data-turn": turn, "data-speaker": speaker }, time(from_ms), name ?? NAMES[speaker] ?? speaker, ...marked(text, words));
      lines.set(seq, { element, from_ms });
      place(element, from_ms);
    },
    /** What the caller has said so far. */
    partial(said) {
      const { stable, rest } = partialOf(said, "caller");
      show(stable, said.text);
      show(rest, said.unstable);
      grown();
    },
    /** What the agent is about to say; what the caller heard of it comes as a line. */
    sentence(said) {
      dropUnsaid(said.turn);
      const { rest } = partialOf(said, "agent");
      show(rest, `${rest.textContent} ${said.text}`.trim());
      grown();
    },
    /** The agent was cut off in this turn. */
    interrupted({ turn }) {
      for (const { element } of lines.values()) {
        if (element.dataset.turn === String(turn) && element.dataset.speaker === "agent" && !element.querySelector(".chip")) {
          element.lastElementChild.append(" ", h("span", { class: "chip alarm" }, "interrupted"));
        }
      }
    },
    retracted({ turn }) {
      drop(turn);
      for (const [seq, { element }] of lines) {
        if (element.dataset.turn === String(turn) && element.dataset.speaker === "agent") {
          element.remove();
          lines.delete(seq);
        }
      }
    },
    /** Something that nobody said. */
    note(text, { at = 0, alarm = false } = {}) {
      place(h("li", { class: alarm ? "said note alarm" : "said note" }, h("span", { class: "time" }, at > 0 ? time(at) : ""), h("span", {}, text)), at);
    },
    hasLines: () => lines.size > 0,
    /** Shows which line is being played, if any, and keeps it in sight. */
    playing(at) {
      let current = null;
      for (const line of lines.values()) {
        if (at !== null && line.from_ms <= at && (!current || line.from_ms >= current.from_ms)) current = line;
      }
      for (const line of lines.values()) line.element.classList.toggle("now", line === current);
      if (current) keepInSight(current.element);
    },
    /** Brings the first marked line in sight. */
    showFirstMark() {
      const first = list.querySelector("mark")?.closest("li");
      if (first) keepInSight(first);
    },
  };

  function keepInSight(element) {
    const [top, bottom] = [element.offsetTop - list.offsetTop, element.offsetTop - list.offsetTop + element.offsetHeight];
    if (top < list.scrollTop || bottom > list.scrollTop + list.clientHeight) list.scrollTop = Math.max(0, top - list.clientHeight / 3);
  }
}

const plain = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();

/** A text in which the words that begin with one of `words` are marked, as the search finds them. */
function marked(text, words) {
  const wanted = words.map(plain).filter(Boolean);
  if (wanted.length === 0) return [text];
  return text.split(/([\p{L}\p{N}\p{M}]+)/u).map((part) => (wanted.some((word) => plain(part).startsWith(word)) ? h("mark", {}, part) : part));
}
