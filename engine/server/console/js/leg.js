// This browser as a person's leg of a call.
//
// One WebSocket a leg. Text messages are JSON: out `join {mode, audio, rate}`, `mode {mode}`, `leave`; in `joined
// {person, mode, audio, rate}`, `mode {mode}`, `refused {detail}`, `closed {reason}`. Binary messages are 20 ms of
// audio. A person who is silent, or muted, sends silence: a leg that sends nothing is taken for lost.

import { whyNoLeg } from "./api.js";
import { codec, hasOpus } from "./audio/codec.js";
import { loudspeaker, microphone } from "./audio/devices.js";

const RATE = 48_000;
/** More than this waiting on the socket is audio too late to be of use, in bytes. */
const CLOGGED = 64_000;

/** Modes in which what the person says goes somewhere. */
export const SPEAKING = new Set(["whisper", "barge", "takeover"]);

/**
 * Comes on a call, and tells `changed(state)` of everything that changes: `{ person, mode, muted, reason }`; `mode`
 * is null once off the call. `problem(text)` is told what went wrong without ending it. `isWanted()`: whether it is
 * still to be on the call, which may take until somebody lets it use the microphone.
 */
export async function join({ call, mode, device, output, isWanted, changed, problem }) {
  const speaker = await loudspeaker(RATE, output);
  return new Leg({ call, speaker, device, changed, problem }).begin(mode, isWanted);
}

function open(call) {
  const url = new URL(`/api/calls/${encodeURIComponent(call)}/leg`, location.href);
  url.protocol = url.protocol.replace("http", "ws");
  const socket = new WebSocket(url);
  socket.binaryType = "arraybuffer";
  return new Promise((opened, refused) => {
    socket.addEventListener("open", () => opened(socket), { once: true });
    // Why a socket was refused is not told to a page.
    socket.addEventListener("error", async () => refused(new Error(await whyNoLeg(call))), { once: true });
  });
}

class Leg {
  #call;
  #socket = null;
  #speaker;
  #device;
  #changed;
  #problem;
  #codec = null;
  #microphone = null;
  #opening = null;
  #silence = null;
  #answer = null;
  #isOver = false;
  #state = { person: null, mode: null, muted: false, reason: null };

  constructor({ call, speaker, device, changed, problem }) {
    [this.#call, this.#speaker, this.#device, this.#changed, this.#problem] = [call, speaker, device, changed, problem];
  }

  async begin(mode, isWanted) {
    try {
      // First, since whoever is asked for the microphone may think about it, and the server does not wait for that.
      if (SPEAKING.has(mode)) await this.#openMicrophone();
      const socket = await open(this.#call);
      this.#socket = socket;
      socket.addEventListener("message", ({ data }) => (typeof data === "string" ? this.#told(JSON.parse(data)) : this.#codec?.decode(data)));
      socket.addEventListener("close", () => this.#over("the connection was lost"));
      if (this.#isOver || !isWanted()) throw new Error("The call was left.");
      await this.#ask({ type: "join", mode, audio: (await hasOpus()) ? "opus" : "pcm", rate: RATE });
    } catch (error) {
      this.#over(null);
      throw error;
    }
    return this;
  }

  get state() {
    return this.#state;
  }

  /** How loud the person is, and the call, 0 to 1 each. */
  levels() {
    const spoken = this.#microphone && !this.#state.muted ? this.#microphone.level() : 0;
    return { spoken, heard: this.#state.mode ? this.#speaker.level() : 0 };
  }

  async setMode(mode) {
    if (SPEAKING.has(mode)) await this.#openMicrophone();
    await this.#ask({ type: "mode", mode });
  }

  mute(muted) {
    this.#become({ muted });
  }

  /** Another microphone, from now on. */
  async use(device) {
    this.#device = device;
    // One that is being opened is the one that was chosen before.
    await this.#opening?.catch(() => {});
    if (!this.#microphone && !SPEAKING.has(this.#state.mode)) return;
    this.#microphone?.close();
    this.#microphone = null;
    await this.#openMicrophone();
  }

  /** Another loudspeaker, from now on. */
  hearOn(device) {
    return this.#speaker.use(device);
  }

  leave() {
    if (this.#isOpen) this.#socket.send(JSON.stringify({ type: "leave" }));
    this.#over(null);
  }

  get #isOpen() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  #openMicrophone() {
    if (this.#microphone) return Promise.resolve();
    this.#opening ??= microphone({ context: this.#speaker.context, device: this.#device, heard: (frame) => this.#hear(frame) })
      .then((opened) => {
        if (this.#isOver) return opened.close();
        this.#microphone = opened;
        opened.lost(() => {
          this.#microphone = null;
          this.#problem("The microphone is gone: the others hear nothing of you.");
        });
      })
      .finally(() => (this.#opening = null));
    return this.#opening;
  }

  #hear(frame) {
    if (this.#state.muted) frame.fill(0);
    this.#send(frame);
  }

  #send(frame) {
    if (this.#isOpen && this.#socket.bufferedAmount < CLOGGED) this.#codec?.encode(frame);
  }

  #ask(message) {
    return new Promise((done, refused) => {
      this.#answer = { done, refused };
      this.#socket.send(JSON.stringify(message));
    });
  }

  #answered(how, value) {
    this.#answer?.[how](value);
    this.#answer = null;
  }

  #told(message) {
    switch (message.type) {
      case "joined":
        this.#codec = codec({
          audio: message.audio,
          rate: message.rate,
          send: (bytes) => this.#socket.send(bytes),
          play: (frame) => this.#speaker.play(frame),
          failed: (error) => this.#problem(`Audio cannot be coded: ${error.message}`),
        });
        // Who listens without a microphone is silent, not lost.
        this.#silence = setInterval(() => this.#microphone ?? this.#send(new Float32Array(message.rate / 50)), 20);
        this.#become({ person: message.person, mode: message.mode });
        this.#answered("done");
        break;
      case "mode":
        this.#become({ mode: message.mode });
        this.#answered("done");
        break;
      case "refused":
        this.#answered("refused", new Error(message.detail));
        break;
      case "closed":
        this.#over(message.detail);
        break;
    }
  }

  #become(change) {
    this.#state = { ...this.#state, ...change };
    this.#changed(this.#state);
  }

  #over(reason) {
    this.#isOver = true;
    clearInterval(this.#silence);
    this.#microphone?.close();
    this.#microphone = null;
    this.#codec?.close();
    this.#codec = null;
    this.#socket?.close();
    if (this.#speaker.context.state !== "closed") this.#speaker.close();
    this.#answered("refused", new Error(reason ?? "left"));
    if (this.#state.reason === null && this.#state.mode !== null) this.#become({ mode: null, reason: reason ?? "left" });
  }
}
