"""Whisper's log-mel spectrogram, as whisper.cpp computes it."""
import os
from pathlib import Path

import numpy as np
import scipy.fft

SAMPLE_RATE_HZ = 16_000
HOP = 160                       # samples from one mel frame to the next
POSITION = 2 * HOP              # samples from one encoder position to the next
WINDOW = 400
HANN = (0.5 * (1 - np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW))).astype(np.float32)


def whisper_assets():
    """The folder of the vocabulary and the mel filters: `whisper/assets` of the PyPI package openai-whisper."""
    return Path(os.environ.get("WHISPER_ASSETS", Path(__file__).parent / "work" / "assets"))


MEL_FILTERS = np.load(whisper_assets() / "mel_filters.npz")["mel_80"].astype(np.float32)


def log_mel(audio, frames):
    """16 kHz float audio, as if followed by silence without end -> [frames, 80]."""
    padded = np.zeros(max(len(audio), frames * HOP) + 2 * WINDOW, np.float32)
    padded[WINDOW // 2:WINDOW // 2 + len(audio)] = audio
    mirrored = min(WINDOW // 2, len(audio) - 1)
    padded[WINDOW // 2 - mirrored:WINDOW // 2] = audio[1:1 + mirrored][::-1]
    windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP][:frames] * HANN
    spectrum = scipy.fft.rfft(windows, axis=1)
    power = (spectrum.real ** 2 + spectrum.imag ** 2).astype(np.float32)
    mel = np.log10(np.maximum(power @ MEL_FILTERS.T, 1e-10))
    mel = np.maximum(mel, mel.max() - 8.0)
    return ((mel + 4.0) / 4.0).astype(np.float32)
