// The call-control API, as the page's session uses it.

let csrf = null;
let signedOut = () => {};

/** What the API answered instead of what was asked for. */
export class Problem extends Error {
  constructor(status, body) {
    const fields = (body?.errors ?? []).map(({ field, detail }) => `${field} ${detail}`).join("; ");
    super(fields || body?.detail || body?.title || `the server answered ${status}`);
    this.status = status;
  }
}

export function onSignedOut(act) {
  signedOut = act;
}

async function send(method, path, body) {
  const headers = { Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (csrf && method !== "GET") headers["X-CSRF-Token"] = csrf;
  let response;
  try {
    response = await fetch(path, { method, headers, credentials: "same-origin", body: body === undefined ? undefined : JSON.stringify(body) });
  } catch {
    throw new Problem(0, { detail: "The server cannot be reached." });
  }
  const isJson = /json/.test(response.headers.get("Content-Type") ?? "");
  const answer = isJson ? await response.json() : null;
  if (response.status === 401 && path !== "/api/session") signedOut();
  if (!response.ok) throw new Problem(response.status, answer);
  return answer;
}

const call = (id, rest = "") => `/api/calls/${encodeURIComponent(id)}${rest}`;

/** Who is signed in; null if nobody is. */
export async function session() {
  try {
    const who = await send("GET", "/api/session");
    csrf = who.csrf_token;
    return who;
  } catch (problem) {
    if (problem.status === 401) return null;
    throw problem;
  }
}

export async function signIn(token) {
  const who = await send("POST", "/api/session", { token });
  csrf = who.csrf_token;
  return who;
}

export async function signOut() {
  await send("DELETE", "/api/session");
  csrf = null;
}

export function calls(query) {
  const fields = Object.entries(query).filter(([, value]) => value);
  return send("GET", `/api/calls?${new URLSearchParams(fields)}`);
}

export const getCall = (id) => send("GET", call(id));
export const transcript = (id) => send("GET", call(id, "/transcript"));
export const events = (id, after = 0) => send("GET", call(id, `/events?after=${after}`));
export const summary = (query) => send("GET", `/api/metrics/summary?${new URLSearchParams(query)}`);
export const say = (id, text, interruptible) => send("POST", call(id, "/say"), { text, interruptible });
export const whisper = (id, text) => send("POST", call(id, "/whisper"), { text });
export const pause = (id) => send("POST", call(id, "/pause-ai"));
export const resume = (id) => send("DELETE", call(id, "/pause-ai"));
export const handBack = (id) => send("DELETE", call(id, "/takeover"));
export const digits = (id, keys) => send("POST", call(id, "/dtmf"), { digits: keys });
export const hangUp = (id, farewell) => send("POST", call(id, "/hangup"), farewell ? { farewell } : {});
export const deleteCall = (id) => send("DELETE", call(id));
export const recordingUrl = (id) => call(id, "/recording");

/** Watches all calls: `act(event)` for each event. Comes back by itself; returns what ends it. */
export function watchAll(names, act) {
  return watch("/api/events", names, act);
}

/** Reads along in one call: `line`, `partial`, `retracted` and `end`. */
export function watchTranscript(id, act) {
  return watch(call(id, "/transcript"), ["line", "partial", "retracted", "end"], act);
}

/** Watches what happens in one call. */
export function watchEvents(id, names, act) {
  return watch(call(id, "/events"), names, act);
}

function watch(path, names, act) {
  const source = new EventSource(path);
  for (const name of names) source.addEventListener(name, (event) => act(name, JSON.parse(event.data)));
  return () => source.close();
}
