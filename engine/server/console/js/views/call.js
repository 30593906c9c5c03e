// One call: on the phone now, being dialled, or over.

import * as api from "../api.js";
import { onBack } from "../connection.js";
import { h } from "../dom.js";
import { number } from "../format.js";
import { liveCall } from "./live-call.js";
import { pastCall } from "./past-call.js";

/** How often it is looked whether a call that is dialled was answered, in ms. */
const EVERY = 1_000;

export function callPage({ who, argument: id, query }) {
  const element = h("section", {}, h("h1", {}, "Call"), h("p", { class: "soft" }, "Loading…"));
  let left = false;
  let timer = null;
  let leave = () => {};

  async function load() {
    timer = null;
    try {
      const call = await api.getCall(id);
      if (!left) place(call);
    } catch (problem) {
      if (left) return;
      element.replaceChildren(
        h("h1", {}, "Call"), h("p", { class: "problem", role: "alert" }, problem.message), h("p", {}, h("a", { href: "#/history" }, "All calls")),
      );
    }
  }

  /** `sent`: where this page sent the call before it ended, if it did. */
  function place(call, sent) {
    leave();
    leave = () => {};
    if (call.state === "dialing") {
      element.replaceChildren(heading(call), h("p", { class: "soft", role: "status" }, "The phone is being called; nobody has answered yet."));
      timer = setTimeout(load, EVERY);
    } else {
      const shown = call.state === "live" ? liveCall({ call, who, heading, ended: place }) : pastCall({ call, who, heading, sent, words: query.get("text") ?? "" });
      leave = shown.leave;
      element.replaceChildren(...shown.children);
    }
    document.title = `${element.querySelector("h1").textContent} – Sidetone`;
  }

  load();
  const back = onBack(() => element.querySelector("h1 + .problem") && load());
  return {
    element,
    leave() {
      left = true;
      back();
      clearTimeout(timer);
      leave();
    },
  };
}

function heading(call) {
  return h("h1", {}, `${number(call.from)} → ${number(call.to)}`);
}
