// Whether the server can be reached, and saying so on every page.

import { show } from "./dom.js";

/** How often a server that is gone is asked whether it is back, in ms. */
const EVERY = 2_000;
/** A stream that breaks off for less than this is nothing to speak of, in ms. */
const PATIENCE = 1_000;

let gone = false;
let timer = null;
const waiting = new Set();

/** Has `act` done whenever the server is back; returns what ends that. */
export function onBack(act) {
  waiting.add(act);
  return () => waiting.delete(act);
}

/** The server did not answer; `perhaps`: a stream broke off, which may mean nothing. */
export function unreachable({ perhaps = false } = {}) {
  if (!perhaps) tell(true);
  timer ??= setTimeout(ask, perhaps ? PATIENCE : EVERY);
}

/** The server answered. */
export function answered() {
  if (!gone) return;
  clearTimeout(timer);
  timer = null;
  tell(false);
  waiting.forEach((act) => act());
}

async function ask() {
  timer = null;
  try {
    // What stands before a server that is gone may answer in its place.
    const response = await fetch("/healthz", { cache: "no-store" });
    if (response.status < 500) return answered();
  } catch {
    // It is still gone.
  }
  unreachable();
}

function tell(is) {
  gone = is;
  const banner = document.getElementById("connection");
  banner.hidden = !gone;
  show(banner, gone ? "The server cannot be reached. What is shown may be out of date; this page tries again by itself." : "");
}
