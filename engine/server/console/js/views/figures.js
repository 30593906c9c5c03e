// The figures of the calls, by hour.

import * as api from "../api.js";
import { onBack } from "../connection.js";
import { field, h, heads, show, svg } from "../dom.js";
import { clock, milliseconds, percent } from "../format.js";

const SPANS = [["24", "24 hours"], ["168", "7 days"], ["720", "30 days"]];

export function figuresPage() {
  const span = h("select", { name: "span" }, ...SPANS.map(([hours, text]) => h("option", { value: hours }, text)));
  const status = h("p", { class: "soft", role: "status" });
  const shown = h("div");
  let asked = 0;

  async function load() {
    const mine = ++asked;
    const until = new Date();
    const since = new Date(until.getTime() - Number(span.value) * 3_600_000);
    try {
      const summary = await api.summary({ since: since.toISOString(), until: until.toISOString() });
      if (mine !== asked) return;
      show(status, "");
      shown.replaceChildren(tiles(summary), chart(summary, since, until), table(summary.hours));
    } catch (problem) {
      if (mine === asked) show(status, problem.message);
    }
  }

  span.addEventListener("change", load);
  load();
  const again = setInterval(load, 30_000);
  const back = onBack(load);
  return {
    element: h("section", {}, h("h1", {}, "Figures"), h("div", { class: "short" }, field("The last", span)), status, shown),
    leave() {
      clearInterval(again);
      back();
    },
  };
}

function tiles({ total, now }) {
  const ended = total.calls - total.live - total.lost;
  const values = [
    ["Live now", now.live_calls], ["People on calls", now.people], ["Calls", total.calls],
    ["Mean length", ended > 0 ? clock(total.duration_ms / ended) : "–"],
    ["Taken over", percent(total.takeover_rate)], ["Agent interrupted", percent(total.interruption_rate)], ["Lost", total.lost],
  ];
  const behind = now.store.missed > 0 || now.store.failure;
  return h("div", {},
    h("dl", { class: "card tiles" }, ...values.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, String(value))))),
    behind && h("p", { class: "card problem" }, now.store.failure
      ? `Events are not being written down: ${now.store.failure}`
      : `${now.store.missed} events could not be written down.`));
}

/** Calls an hour as bars. The table below says the same in numbers. */
function chart({ hours }, since, until) {
  const [width, height, left, bottom] = [Math.max(280, document.getElementById("main").clientWidth - 66), 180, 34, 22];
  const first = Math.floor(since / 3_600_000);
  const slots = Math.floor(until / 3_600_000) - first + 1;
  const most = Math.max(1, ...hours.map(({ calls }) => calls));
  const slot = (width - left) / slots;
  const y = (calls) => (height - bottom) * (1 - calls / most);
  const bars = hours.map((hour) => {
    const index = Math.floor(Date.parse(hour.from) / 3_600_000) - first;
    return svg("rect", { class: "bar-figure", x: left + index * slot + slot * 0.1, width: Math.max(1, slot * 0.8), y: y(hour.calls), height: height - bottom - y(hour.calls) });
  });
  const label = (hour) => new Date((first + hour) * 3_600_000).toLocaleString(undefined, slots > 48 ? { month: "short", day: "numeric" } : { hour: "2-digit", minute: "2-digit" });
  const marks = (width < 500 ? [0, 0.5] : [0, 1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6]).map((share) => {
    const hour = Math.round(share * slots);
    return svg("text", { x: left + hour * slot, y: height - 6 }, label(hour));
  });
  return h("figure", { class: "card" },
    h("figcaption", { class: "soft" }, "Calls begun an hour"),
    svg("svg", { class: "timeline", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `Calls begun an hour; at most ${most}` },
      svg("line", { class: "tick", x1: left, x2: width, y1: height - bottom, y2: height - bottom }),
      svg("text", { x: 0, y: 12 }, String(most)), svg("text", { x: 0, y: height - bottom }, "0"), ...bars, ...marks));
}

function table(hours) {
  const names = ["Hour", "Calls", "p50", "p95", "p99", "Taken over", "Interrupted"];
  const rows = hours.toReversed().map((hour) => h("tr", {},
    ...[
      new Date(hour.from).toLocaleString(undefined, { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" }), String(hour.calls),
      milliseconds(hour.p50_ms), milliseconds(hour.p95_ms), milliseconds(hour.p99_ms), percent(hour.takeover_rate), percent(hour.interruption_rate),
    ].map((value, index) => h("td", { "data-label": names[index], class: index > 0 ? "number" : "" }, value))));
  return h("div", { class: "card scroll" },
    h("table", { class: "stack" },
      h("caption", {}, "By hour, the newest first. Latencies are from the end of the caller's speech to the agent's first audio."),
      h("thead", {}, h("tr", {}, ...heads(names, names.slice(1)))),
      h("tbody", {}, ...rows)));
}
