"""Writes onnx-oracle.json anew: python3 onnx-oracle.py MODELS, where MODELS is a folder with
silero_vad.onnx (Silero VAD 6) and smart-turn-v3.2-cpu.onnx. Needs numpy 2 and onnxruntime 1.24 or
later. What the models say here, by Python and double precision, the engine must say too."""

import json
import pathlib
import sys
import wave

import numpy as np
import onnxruntime

HERE = pathlib.Path(__file__).parent
MODELS = pathlib.Path(sys.argv[1])
FILES = ["person-espeak.wav", "person-flite.wav", "digits-flite.wav"]


def read(name):
    with wave.open(str(HERE / name)) as file:
        assert file.getframerate() == 8000
        return np.frombuffer(file.readframes(file.getnframes()), "<i2")


def session(name):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(MODELS / name, options, ["CPUExecutionProvider"])


SILERO = session("silero_vad.onnx")
SMART_TURN = session("smart-turn-v3.2-cpu.onnx")


def silero(pcm, rate):
    frame, context = (256, 32) if rate == 8000 else (512, 64)
    state = np.zeros((2, 1, 128), np.float32)
    before = np.zeros(context, np.float32)
    probabilities = []
    for start in range(0, len(pcm) - frame + 1, frame):
        now = pcm[start : start + frame].astype(np.float32) / 32768
        heard = np.concatenate([before, now])[None]
        inputs = {"input": heard, "state": state, "sr": np.array(rate, np.int64)}
        probability, state = SILERO.run(None, inputs)
        probabilities.append(round(float(probability[0, 0]), 6))
        before = now[-context:]
    return probabilities


def mel_filters():
    top = 15 + 27 * np.log(8) / np.log(6.4)
    mels = np.linspace(0, top, 82)
    hz = np.where(mels < 15, mels * 200 / 3, 1000 * 6.4 ** ((mels - 15) / 27))
    bins = np.arange(201) * 40.0
    rising = (bins[:, None] - hz[:-2]) / np.diff(hz)[:-1]
    falling = (hz[2:] - bins[:, None]) / np.diff(hz)[1:]
    return np.maximum(0, np.minimum(rising, falling)) * 2 / (hz[2:] - hz[:-2])


def smart_turn(pcm):
    signal = pcm[-128000:] / 32768
    signal = np.pad(signal, (128000 - len(signal), 0))
    signal = (signal - signal.mean()) / np.sqrt(signal.var() + 1e-7)
    padded = np.pad(signal, 200, mode="reflect")
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    frames = np.lib.stride_tricks.sliding_window_view(padded, 400)[::160][:800]
    power = np.abs(np.fft.rfft(frames * window, axis=1)) ** 2
    log = np.log10(np.maximum(power @ mel_filters(), 1e-10)).T
    log = (np.maximum(log, log.max() - 8) + 4) / 4
    outputs = SMART_TURN.run(None, {"input_features": log[None].astype(np.float32)})
    return round(float(outputs[0][0, 0]), 6)


oracle = {"silero_8000": {}, "silero_16000": {}, "smart_turn": {}}
for name in FILES:
    pcm = read(name)
    wide = np.repeat(pcm, 2)
    oracle["silero_8000"][name] = silero(pcm, 8000)
    oracle["silero_16000"][name] = silero(wide, 16000)
    # As it is; cut within; and longer than 8 s, so that its beginning falls away.
    oracle["smart_turn"][name] = [
        smart_turn(wide),
        smart_turn(wide[: len(wide) * 3 // 5]),
        smart_turn(np.tile(wide, 9)),
    ]
(HERE / "onnx-oracle.json").write_text(json.dumps(oracle, indent=1) + "\n")
