// Cuts what the microphone hears into frames of 20 ms.

const FRAME = Math.round(sampleRate / 50);

class Capture extends AudioWorkletProcessor {
  frame = new Float32Array(FRAME);
  filled = 0;

  process([input]) {
    const channel = input[0];
    if (!channel) return true;
    for (let from = 0; from < channel.length; ) {
      const taken = Math.min(FRAME - this.filled, channel.length - from);
      this.frame.set(channel.subarray(from, from + taken), this.filled);
      this.filled += taken;
      from += taken;
      if (this.filled === FRAME) {
        this.port.postMessage(this.frame, [this.frame.buffer]);
        this.frame = new Float32Array(FRAME);
        this.filled = 0;
      }
    }
    return true;
  }
}

registerProcessor("capture", Capture);
