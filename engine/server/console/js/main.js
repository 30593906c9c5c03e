// The console: who is signed in, and which page is shown.

import * as api from "./api.js";
import { onBack } from "./connection.js";
import { button, h, notice, show } from "./dom.js";
import { mode as modeInWords } from "./format.js";
import * as presence from "./presence.js";
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

function render({ focus = false } = {}) {
  leave();
  leave = () => {};
  for (const dialog of document.querySelectorAll("dialog")) dialog.close();
  const [path, search] = location.hash.replace(/^#\//, "").split("?");
  const [name, ...rest] = path.split("/").map(decoded);
  const page = Object.hasOwn(PAGES, name) ? PAGES[name] : livePage;
  pages.hidden = sessionBar.hidden = !who;
  if (!who) {
    main.replaceChildren(signInPage(signedIn));
    document.title = "Sign in – Sidetone";
    main.querySelector("input").focus();
    return;
  }
  show(document.getElementById("who"), `${who.name} (${who.role})`);
  const current = Object.hasOwn(PAGES, name) ? name : "live";
  for (const link of pages.children) {
    if (link.hash === `#/${current}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const shown = page({ who, argument: rest[0], query: new URLSearchParams(search) });
  leave = shown.leave ?? leave;
  main.replaceChildren(shown.element);
  showPresence();
  document.title = `${shown.element.querySelector("h1")?.textContent ?? "Console"} – Sidetone`;
  if (focus) main.focus();
}

/** An address may be typed by hand. */
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function signedIn(now) {
  who = now;
  render({ focus: true });
}

api.onSignedOut(() => {
  if (!who) return;
  who = null;
  presence.leave();
  notice("The session is over: sign in again to go on here.", { alarm: true });
  render();
});

document.getElementById("sign-out").addEventListener("click", async () => {
  presence.leave();
  try {
    await api.signOut();
  } catch (problem) {
    // Whoever thinks they have signed out must have.
    if (problem.status !== 401) return notice(`Not signed out: ${problem.message}`, { alarm: true });
  }
  who = null;
  return render();
});

addEventListener("hashchange", () => render({ focus: true }));

/** Who looks at something else while on a call sees that, and can go back to it or leave it. */
function showPresence() {
  const bar = document.getElementById("presence");
  const on = presence.now();
  bar.hidden = !on || location.hash.includes(on.call);
  if (bar.hidden) return;
  bar.replaceChildren(
    h("span", {}, `${on.label}: you are ${modeInWords(on.state.mode)}${on.state.muted ? ", muted" : ""}.`),
    h("a", { href: `#/call/${encodeURIComponent(on.call)}` }, "Back to the call"),
    button("Leave the call", presence.leave, { class: "quiet small" }),
  );
}
presence.watch(showPresence);

async function begin() {
  try {
    who = await api.session();
    render();
  } catch (problem) {
    main.replaceChildren(h("p", { class: "problem", role: "alert" }, problem.message));
    const stop = onBack(() => {
      stop();
      begin();
    });
  }
}

begin();
