// The call that this browser is on: one at a time, and whatever page is shown.

import { notice } from "./dom.js";
import * as legs from "./leg.js";

let current = null;
/** The call that this browser is to be on, or is. */
let wanted = null;
/** What was asked for is done one after the other: who presses two buttons at once is on the call once. */
let entering = Promise.resolve();
const watching = new Set();

/** Where this browser is: `{ call, label, state }`, the state as in `leg.js`; null if it is on no call. */
export const now = () => current;

/** How this browser is on a call; null if it is not. */
export const on = (call) => (current?.call === call ? current.state : null);

/** How loud the person is, and the call, 0 to 1 each. */
export const levels = () => current?.leg?.levels() ?? { spoken: 0, heard: 0 };

/** `act(call, state)` is told of every change; returns what ends that. */
export function watch(act) {
  watching.add(act);
  return () => watching.delete(act);
}

/** Comes on a call in `mode`, or changes over to it; from another call it is gone then. */
export function enter(wish) {
  wanted = wish.call;
  const entered = entering.then(() => go(wish));
  entering = entered.catch(() => {});
  return entered;
}

async function go({ call, label, mode, device, output, problem }) {
  if (on(call)) return current.leg.setMode(mode);
  current?.leg.leave();
  const entry = { call, label, leg: null, state: null };
  const isWanted = () => wanted === call;
  entry.leg = await legs.join({ call, mode, device, output, problem, isWanted, changed: (state) => become(entry, state) });
  if (!isWanted()) entry.leg.leave();
  return undefined;
}

function become(entry, state) {
  const isNew = entry.state === null;
  entry.state = state;
  if (isNew) current = entry;
  if (current === entry && !state.mode) current = null;
  for (const act of watching) act(entry.call, state);
  // Nobody who looks at something else would know.
  if (!state.mode && state.reason !== "left" && !location.hash.includes(entry.call)) notice(`You are off the call ${entry.label}: ${state.reason}.`, { alarm: true });
}

export const mute = (muted) => current?.leg?.mute(muted);
export const useMicrophone = (device) => current?.leg?.use(device);
export const useLoudspeaker = (device) => current?.leg?.hearOn(device);
export function leave() {
  wanted = null;
  current?.leg?.leave();
}
