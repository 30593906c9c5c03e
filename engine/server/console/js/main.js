// The console: who is signed in, and which page is shown.

import * as api from "./api.js";
import { h, notice, show } from "./dom.js";
import { callPage } from "./views/call.js";
import { figuresPage } from "./views/figures.js";
import { historyPage } from "./views/history.js";
import { livePage } from "./views/live.js";
import { signInPage } from "./views/sign-in.js";

const PAGES = { live: livePage, history: historyPage, figures: figuresPage, call: callPage };

const main = document.getElementById("main");
const pages = document.getElementById("pages");
const sessionBar = document.getElementById("session");

let who = null;
/** Ends what the page on show keeps going. */
let leave = () => {};

async function render({ focus = false } = {}) {
  leave();
  leave = () => {};
  const [name, ...rest] = location.hash.replace(/^#\//, "").split("/").map(decodeURIComponent);
  const page = PAGES[name] ?? livePage;
  pages.hidden = sessionBar.hidden = !who;
  if (!who) {
    main.replaceChildren(signInPage(signedIn));
    main.querySelector("input").focus();
    return;
  }
  show(document.getElementById("who"), `${who.name} (${who.role})`);
  const current = Object.hasOwn(PAGES, name) ? name : "live";
  for (const link of pages.children) {
    if (link.hash === `#/${current}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const shown = page({ who, argument: rest[0] });
  leave = shown.leave ?? leave;
  main.replaceChildren(shown.element);
  document.title = `${shown.element.querySelector("h1")?.textContent ?? "Console"} – Sidetone`;
  if (focus) main.focus();
}

function signedIn(now) {
  who = now;
  render({ focus: true });
}

api.onSignedOut(() => {
  if (!who) return;
  who = null;
  notice("The session is over: sign in again.", { alarm: true });
  render();
});

document.getElementById("sign-out").addEventListener("click", async () => {
  try {
    await api.signOut();
  } catch (problem) {
    notice(problem.message, { alarm: true });
  }
  who = null;
  render();
});

addEventListener("hashchange", () => render({ focus: true }));

try {
  who = await api.session();
  render();
} catch (problem) {
  main.replaceChildren(h("p", { class: "problem" }, problem.message));
}
