// Microphone and loudspeaker: which, and what goes through them.

/** Microphones and loudspeakers that can be chosen. Without leave to use a microphone, they have no names. */
export async function devices() {
  const all = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
  // The default is there twice: by itself, and as what it is.
  const of = (wanted, name) => all.filter(({ kind, deviceId }) => kind === wanted && deviceId && deviceId !== "default")
    .map(({ deviceId, label }, index) => ({ id: deviceId, name: label || `${name} ${index + 1}` }));
  return { microphones: of("audioinput", "Microphone"), loudspeakers: of("audiooutput", "Loudspeaker") };
}

/** Whether this browser lets a page choose the loudspeaker. */
export const choosesLoudspeaker = "setSinkId" in (globalThis.AudioContext?.prototype ?? {});

/** Opens a loudspeaker: `play(frame)`, and `level()` of what was played. Must follow a click. */
export async function loudspeaker(rate, device) {
  const context = new AudioContext({ sampleRate: rate, latencyHint: "interactive" });
  // One that was unplugged since it was chosen: the browser's choice is as good.
  if (device && choosesLoudspeaker) await context.setSinkId(device).catch(() => {});
  await context.audioWorklet.addModule(new URL("playback.worklet.js", import.meta.url));
  const node = new AudioWorkletNode(context, "playback", { numberOfInputs: 0, outputChannelCount: [1] });
  const meter = new AnalyserNode(context, { fftSize: 1_024 });
  node.connect(meter).connect(context.destination);
  await context.resume();
  return {
    context,
    play: (frame) => node.port.postMessage(frame, [frame.buffer]),
    level: () => level(meter),
    use: (other) => context.setSinkId(other ?? ""),
    close: () => context.close(),
  };
}

/** Opens a microphone, with the browser's echo cancellation: `heard(frame)` every 20 ms. */
export async function microphone({ context, device, heard }) {
  if (!navigator.mediaDevices) throw new Error("The browser gives no microphone to a page that did not come over https.");
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({
      audio: { deviceId: device ? { exact: device } : undefined, echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: 1 },
    });
  } catch (error) {
    throw new Error(REFUSED[error.name] ?? `The microphone cannot be used: ${error.message}`);
  }
  await context.audioWorklet.addModule(new URL("capture.worklet.js", import.meta.url));
  const source = new MediaStreamAudioSourceNode(context, { mediaStream: stream });
  const meter = new AnalyserNode(context, { fftSize: 1_024 });
  const node = new AudioWorkletNode(context, "capture", { numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit" });
  source.connect(meter);
  source.connect(node);
  node.port.onmessage = ({ data }) => heard(data);
  return {
    level: () => level(meter),
    lost: (act) => stream.getTracks().forEach((track) => track.addEventListener("ended", act)),
    close() {
      node.port.onmessage = null;
      source.disconnect();
      stream.getTracks().forEach((track) => track.stop());
    },
  };
}

const REFUSED = {
  NotAllowedError: "The browser does not allow this page to use the microphone: allow it beside the address, and try again.",
  NotFoundError: "There is no microphone.",
  NotReadableError: "The microphone is being used by something else.",
  OverconstrainedError: "This microphone is gone: choose another.",
};

/** 0 to 1, from −60 dBFS to full scale. */
function level(meter) {
  const samples = new Float32Array(meter.fftSize);
  meter.getFloatTimeDomainData(samples);
  const peak = samples.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
  return peak > 0 ? Math.max(0, Math.min(1, 1 + Math.log10(peak) / 3)) : 0;
}
