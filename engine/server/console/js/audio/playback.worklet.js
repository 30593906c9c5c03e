// Plays frames as they arrive. Little is kept ahead: enough for the network's jitter, and no more.

/** Playing begins, and begins again after a gap, with this much in hand. */
const BEGIN = sampleRate * 0.06;
/** More than this in hand is delay that nobody needs: the oldest goes. */
const MOST = sampleRate * 0.2;
/** Samples over which a cut or a gap is faded. */
const FADE = Math.round(sampleRate * 0.005);

class Playback extends AudioWorkletProcessor {
  frames = [];
  /** Into the first frame. */
  position = 0;
  held = 0;
  playing = false;
  last = 0;
  fade = 0;

  constructor() {
    super();
    this.port.onmessage = ({ data }) => {
      this.frames.push(data);
      this.held += data.length;
      while (this.held > MOST) {
        this.held -= this.frames[0].length - this.position;
        this.frames.shift();
        this.position = 0;
        this.fade = 0;
      }
    };
  }

  process(_, [output]) {
    const channel = output[0];
    this.playing ||= this.held >= BEGIN;
    for (let index = 0; index < channel.length; index += 1) {
      channel[index] = this.playing ? this.sample() : this.last *= 0.95;
    }
    for (const other of output.slice(1)) other.set(channel);
    return true;
  }

  sample() {
    const frame = this.frames[0];
    if (!frame) {
      this.playing = false;
      this.fade = 0;
      return (this.last *= 0.95);
    }
    const share = Math.min(1, ++this.fade / FADE);
    // From where the last frame broke off.
    this.last = share * frame[this.position] + (1 - share) * this.last;
    this.position += 1;
    this.held -= 1;
    if (this.position === frame.length) {
      this.frames.shift();
      this.position = 0;
    }
    return this.last;
  }
}

registerProcessor("playback", Playback);
