// The call-control API, as the page's session uses it.

import { answered, unreachable } from "./connection.js";
import { notice } from "./dom.js";

/** What takes longer than this is not waited for, in ms: the server itself waits for Twilio for half as long. */
const PATIENCE = 60_000;

let csrf = null;
let signedOut = () => {};

/** What the API answered instead of what was asked for. */
export class Problem extends Error {
  constructor(status, body) {
    super(body?.detail || body?.title || `The server answered ${status}.`);
    this.status = status;
    /** A word for what it is: `call-ended`, `too-fast`. */
    this.kind = body?.type?.split(":").pop() ?? "";
    /** What is wrong with which fields of the request: `{ field, detail }`. */
    this.fields = body?.errors ?? [];
  }
}

export function onSignedOut(act) {
  signedOut = act;
}

async function send(method, path, body, { again = true } = {}) {
  const headers = { Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (csrf && method !== "GET") headers["X-CSRF-Token"] = csrf;
  let response;
  try {
    response = await fetch(path, {
      method, headers, credentials: "same-origin", body: body === undefined ? undefined : JSON.stringify(body), signal: AbortSignal.timeout(PATIENCE),
    });
  } catch {
    unreachable();
    throw new Problem(0, { detail: method === "GET" ? "The server cannot be reached." : "The server did not answer: whether it was done is not known." });
  }
  answered();
  const isJson = /json/.test(response.headers.get("Content-Type") ?? "");
  const answer = isJson ? await response.json() : null;
  if (response.ok) return answer;
  const problem = new Problem(response.status, answer);
  if (response.status === 401 && path !== SESSION) signedOut();
  // Another page of this browser signed in: the session is a new one.
  if (problem.kind === "csrf" && again && (await session())) return send(method, path, body, { again: false });
  throw problem;
}

const SESSION = "/api/session";
const call = (id, rest = "") => `/api/calls/${encodeURIComponent(id)}${rest}`;

/** Who is signed in; null if nobody is. */
export async function session() {
  try {
    const who = await send("GET", SESSION);
    csrf = who.csrf_token;
    return who;
  } catch (problem) {
    if (problem.status === 401) return null;
    throw problem;
  }
}

export async function signIn(token) {
  const who = await send("POST", SESSION, { token });
  csrf = who.csrf_token;
  return who;
}

export async function signOut() {
  await send("DELETE", SESSION);
  csrf = null;
}

export function calls(query) {
  const fields = Object.entries(query).filter(([, value]) => value);
  return send("GET", `/api/calls?${new URLSearchParams(fields)}`);
}

export const getCall = (id) => send("GET", call(id));
export const events = (id, after = 0) => send("GET", call(id, `/events?after=${after}`));
export const summary = (query) => send("GET", `/api/metrics/summary?${new URLSearchParams(query)}`);
export const say = (id, text, interruptible) => send("POST", call(id, "/say"), { text, interruptible });
export const whisper = (id, text) => send("POST", call(id, "/whisper"), { text });
export const pause = (id) => send("POST", call(id, "/pause-ai"));
export const resume = (id) => send("DELETE", call(id, "/pause-ai"));
/** `{ phone, mode, name, from }`: somebody is called; `{ person }`: somebody who is on the call has it. */
export const takeOver = (id, who) => send("POST", call(id, "/takeover"), who);
export const handBack = (id) => send("DELETE", call(id, "/takeover"));
export const removePerson = (id, person) => send("DELETE", call(id, `/people/${person}`));
export const stopCalling = (id) => send("DELETE", call(id, "/takeover?phone=true"));
export const transfer = (id, where) => send("POST", call(id, "/transfer"), where);
export const digits = (id, keys) => send("POST", call(id, "/dtmf"), { digits: keys });
export const hangUp = (id, farewell) => send("POST", call(id, "/hangup"), farewell ? { farewell } : {});
export const deleteCall = (id) => send("DELETE", call(id));
export const recordingUrl = (id) => call(id, "/recording");

/** Why a leg's socket was refused, as far as a page can know. */
export async function whyNoLeg(id) {
  try {
    const { state } = await getCall(id);
    if (state !== "live") return "The call is over.";
  } catch (problem) {
    return problem.message;
  }
  return "The connection for audio was refused: a proxy before the server may not let WebSockets through, or `server.public_url` is not this page's address.";
}

/** Why a stream is refused; null where it is not, or nobody can be asked. */
async function whyNoStream(path) {
  const asking = new AbortController();
  try {
    const response = await fetch(path, { headers: { Accept: "text/event-stream" }, credentials: "same-origin", signal: asking.signal });
    return response.ok ? null : new Problem(response.status, await response.json()).message;
  } catch {
    return null;
  } finally {
    // What was let in is not read here.
    asking.abort();
  }
}

/** Watches all calls from now on: `act(name, event)` for each event, `opened()` when the stream is open (again). */
export function watchAll(names, act, opened) {
  return watch("/api/events", names, act, opened);
}

/** Watches one call from its beginning on. What is missed on the way comes later, once. */
export function watchCall(id, names, act, opened) {
  return watch(call(id, "/events"), names, act, opened);
}

/** How long a stream that was refused waits to be opened again, in ms: at first, and at most. */
const [SOON, LATE] = [2_000, 30_000];
/** A page that nobody sees gives its streams back after this long, in ms: a browser has few connections. */
const UNSEEN = 30_000;

function watch(path, names, act, opened = () => {}) {
  let [source, last, timer, unseen, delay, told] = [null, null, null, null, SOON, false];

  function open() {
    source = new EventSource(last === null ? path : `${path}?after=${last}`);
    for (const name of names) {
      source.addEventListener(name, (event) => {
        // A call has errors of its own, named as the stream's are.
        if (!(event instanceof MessageEvent)) return;
        if (event.lastEventId && path !== "/api/events") last = event.lastEventId;
        act(name, JSON.parse(event.data));
      });
    }
    source.addEventListener("open", () => {
      [delay, told] = [SOON, false];
      answered();
      opened();
    });
    source.addEventListener("error", (event) => {
      if (event instanceof MessageEvent) return;
      // The browser tries again by itself, unless the server answered with something else than a stream.
      if (source.readyState !== EventSource.CLOSED) return unreachable({ perhaps: true });
      timer = setTimeout(reopen, delay);
      delay = Math.min(LATE, delay * 2);
    });
  }

  async function reopen() {
    timer = null;
    const refused = source;
    try {
      if (!(await session())) return signedOut();
      const why = await whyNoStream(path);
      if (why && !told && source === refused) {
        told = true;
        notice(`What happens in calls is not shown as it happens. ${why}`, { alarm: true });
      }
    } catch {
      // The stream says so itself.
    }
    // Who looked away and back meanwhile has opened another.
    if (source === refused) open();
  }

  function seen() {
    clearTimeout(unseen);
    if (!document.hidden && source === null) open();
    if (document.hidden) unseen = setTimeout(pause, UNSEEN);
  }

  function pause() {
    clearTimeout(timer);
    source?.close();
    source = null;
  }

  document.addEventListener("visibilitychange", seen);
  open();
  return () => {
    document.removeEventListener("visibilitychange", seen);
    clearTimeout(unseen);
    pause();
  };
}
