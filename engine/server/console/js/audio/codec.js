// What goes over the socket: packets of 20 ms, as Opus where the browser can (WebCodecs), else as PCM.
// Frames in memory are Float32Arrays of 20 ms, mono.

const OPUS = { codec: "opus", sampleRate: 48_000, numberOfChannels: 1 };
const FRAME_US = 20_000;

/** Whether this browser encodes and decodes Opus. */
export async function hasOpus() {
  if (!("AudioEncoder" in globalThis && "AudioDecoder" in globalThis)) return false;
  try {
    const [encoder, decoder] = await Promise.all([AudioEncoder.isConfigSupported(OPUS), AudioDecoder.isConfigSupported(OPUS)]);
    return encoder.supported && decoder.supported;
  } catch {
    return false;
  }
}

/** Encodes and decodes: `encode(frame)` leads to `send(bytes)`, `decode(bytes)` to `play(frame)`. */
export function codec({ audio, rate, send, play, failed }) {
  return audio === "opus" ? opus({ rate, send, play, failed }) : pcm({ send, play });
}

function opus({ rate, send, play, failed }) {
  const encoder = new AudioEncoder({
    output(chunk) {
      const bytes = new Uint8Array(chunk.byteLength);
      chunk.copyTo(bytes);
      send(bytes);
    },
    error: failed,
  });
  encoder.configure({ ...OPUS, sampleRate: rate, bitrate: 32_000, opus: { application: "voip", frameDuration: FRAME_US } });
  const decoder = new AudioDecoder({
    output(data) {
      const frame = new Float32Array(data.numberOfFrames);
      data.copyTo(frame, { planeIndex: 0, format: "f32-planar" });
      data.close();
      play(frame);
    },
    error: failed,
  });
  decoder.configure({ ...OPUS, sampleRate: rate });
  let [sent, received] = [0, 0];
  return {
    encode(frame) {
      const data = new AudioData({ format: "f32-planar", sampleRate: rate, numberOfFrames: frame.length, numberOfChannels: 1, timestamp: sent * FRAME_US, data: frame });
      sent += 1;
      encoder.encode(data);
      data.close();
    },
    decode(bytes) {
      decoder.decode(new EncodedAudioChunk({ type: "key", timestamp: received * FRAME_US, data: bytes }));
      received += 1;
    },
    close() {
      for (const end of [encoder, decoder]) if (end.state !== "closed") end.close();
    },
  };
}

/** 16-bit little-endian. */
function pcm({ send, play }) {
  return {
    encode(frame) {
      const view = new DataView(new ArrayBuffer(frame.length * 2));
      frame.forEach((sample, index) => view.setInt16(index * 2, Math.round(Math.max(-1, Math.min(1, sample)) * 32_767), true));
      send(new Uint8Array(view.buffer));
    },
    decode(bytes) {
      const view = new DataView(bytes);
      play(Float32Array.from({ length: bytes.byteLength >> 1 }, (_, index) => view.getInt16(index * 2, true) / 32_768));
    },
    close() {},
  };
}
