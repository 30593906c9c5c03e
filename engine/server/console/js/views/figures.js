// The figures of the calls, by hour.

import * as api from "../api.js";
import { onBack } from "../connection.js";
import { field, h, heads, show, svg } from "../dom.js";
import { clock, milliseconds, percent } from "../format.js";

const HOUR = 3_600_000;
const SPANS = [["24", "24 hours"], ["168", "7 days"], ["720", "30 days"]];

export function figuresPage() {
  const hours = h("select", { name: "span" }, ...SPANS.map(([value, text]) => h("option", { value }, text)));
  const status = h("p", { class: "soft", role: "status" });
  const shown = h("div");
  let asked = 0;

  async function load() {
    const mine = ++asked;
    const until = new Date();
    const since = new Date(until.getTime() - Number(hours.value) * HOUR);
    try {
      const summary = await api.summary({ since: since.toISOString(), until: until.toISOString() });
      if (mine !== asked) return;
      show(status, "");
      const span = { hours: summary.hours, since, until };
      shown.replaceChildren(
        tiles(summary),
        chart({ ...span, title: "Calls begun an hour", low: () => 0, high: ({ calls }) => calls, unit: "" }),
        chart({ ...span, title: "How quickly the agent answers: from p50 to p95", low: ({ p50_ms }) => p50_ms, high: ({ p95_ms }) => p95_ms, unit: " ms" }),
        table(summary.hours),
      );
    } catch (problem) {
      if (mine === asked) show(status, problem.message);
    }
  }

  hours.addEventListener("change", load);
  load();
  const again = setInterval(load, 30_000);
  const back = onBack(load);
  return {
    element: h("section", {}, h("h1", {}, "Figures"), h("div", { class: "short" }, field("The last", hours)), status, shown),
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

/**
 * A bar for each hour, from `low` to `high` of what it is given. The table below says the same in numbers.
 */
function chart({ hours, since, until, title, low, high, unit }) {
  const [width, height, left, bottom, top] = [Math.max(280, document.getElementById("main").clientWidth - 66), 150, 56, 22, 6];
  const first = Math.floor(since / HOUR);
  const slots = Math.floor(until / HOUR) - first + 1;
  const known = hours.filter((hour) => Number.isFinite(high(hour)));
  const most = Math.max(1, ...known.map(high));
  const slot = (width - left) / slots;
  const y = (value) => top + (height - bottom - top) * (1 - value / most);
  const bars = known.map((hour) => {
    const index = Math.floor(Date.parse(hour.from) / HOUR) - first;
    const [from, to] = [y(low(hour)), y(high(hour))];
    return svg("rect", { class: "bar-figure", x: left + index * slot + slot * 0.1, width: Math.max(1, slot * 0.8), y: Math.min(to, from - 2), height: Math.max(2, from - to) });
  });
  const label = (hour) => new Date((first + hour) * HOUR).toLocaleString(undefined, slots > 48 ? { month: "short", day: "numeric" } : { hour: "2-digit", minute: "2-digit" });
  const marks = (width < 500 ? [0, 1 / 2] : [0, 1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6]).map((share) => {
    const hour = Math.round(share * slots);
    return svg("text", { x: left + hour * slot, y: height - 6 }, label(hour));
  });
  return h("figure", { class: "card" },
    h("figcaption", { class: "soft" }, title),
    svg("svg", { class: "timeline", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${title}; at most ${most}${unit}` },
      svg("line", { class: "tick", x1: left, x2: width, y1: height - bottom, y2: height - bottom }),
      svg("text", { x: 0, y: top + 9 }, `${most}${unit}`), svg("text", { x: 0, y: height - bottom }, "0"), ...bars, ...marks));
}

function table(hours) {
  const names = ["Hour", "Calls", "p50", "p95", "p99", "Taken over", "Interrupted"];
  const rows = hours.toReversed().map((hour) => h("tr", {},
    ...[
      new Date(hour.from).toLocaleString(undefined, { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" }), String(hour.calls),
      milliseconds(hour.p50_ms), milliseconds(hour.p95_ms), milliseconds(hour.p99_ms), percent(hour.takeover_rate), percent(hour.interruption_rate),
    ].map((value, index) => h("td", { "data-label": names[index], class: index > 0 ? "number" : "" }, value))));
  return h("div", { class: "card scroll" },
    h("table", { class: "stack dense" },
      h("caption", {}, "By hour, the newest first. Latencies are from the end of the caller's speech to the agent's first audio."),
      h("thead", {}, h("tr", {}, ...heads(names, names.slice(1)))),
      h("tbody", {}, ...rows)));
}
