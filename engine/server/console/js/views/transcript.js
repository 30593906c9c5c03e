// What was said in a call, as it is said.

import { h, show } from "../dom.js";
import { clock } from "../format.js";

const NAMES = { caller: "Caller", agent: "Agent" };

/** A list of what was said; `jump(ms)` is called for a line's time, where there is a recording. */
export function transcriptList({ jump } = {}) {
  const list = h("ol", { class: "transcript", "aria-label": "Transcript", tabindex: 0 });
  const lines = new Map();
  const partials = new Map();

  /** Who reads something further up stays there. */
  function keepingPlace(change) {
    const isAtEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
    change();
    if (isAtEnd) list.scrollTop = list.scrollHeight;
  }

  function time(at) {
    return jump ? h("button", { type: "button", class: "jump", onclick: () => jump(at), "aria-label": `Play from ${clock(at)}` }, clock(at)) : clock(at);
  }

  return {
    element: list,
    line({ seq, at_ms, turn, speaker, name, text }) {
      if (lines.has(seq)) return;
      keepingPlace(() => {
        partials.get(turn)?.element.remove();
        partials.delete(turn);
        if (!text) return;
        const element = h("li", { class: `said ${speaker}`, "data-turn": turn, "data-speaker": speaker },
          h("span", { class: "time" }, time(at_ms)), h("span", {}, h("span", { class: "name" }, name ?? NAMES[speaker] ?? speaker), text));
        lines.set(seq, { element, at_ms });
        list.append(element);
      });
    },
    partial({ turn, text, unstable }) {
      keepingPlace(() => {
        if (!partials.has(turn)) {
          const [stable, rest] = [h("span"), h("span", { class: "unstable" })];
          const element = h("li", { class: "said caller", "data-partial": turn },
            h("span", { class: "time" }, "…"), h("span", {}, h("span", { class: "name" }, NAMES.caller), stable, " ", rest));
          partials.set(turn, { element, stable, rest });
          list.append(element);
        }
        const partial = partials.get(turn);
        show(partial.stable, text);
        show(partial.rest, unstable);
      });
    },
    retracted({ turn }) {
      for (const [seq, { element }] of lines) {
        if (element.dataset.turn === String(turn) && element.dataset.speaker === "agent") {
          element.remove();
          lines.delete(seq);
        }
      }
    },
    note(text) {
      keepingPlace(() => list.append(h("li", { class: "said note" }, h("span", { class: "time" }), h("span", {}, text))));
    },
    /** Shows which line is being played, if any. */
    playing(at) {
      let current = null;
      for (const line of lines.values()) {
        line.element.classList.remove("now");
        // A line's time is when its words were known: the end of them.
        if (at !== null && line.at_ms >= at && (!current || line.at_ms < current.at_ms)) current = line;
      }
      current?.element.classList.add("now");
    },
  };
}
