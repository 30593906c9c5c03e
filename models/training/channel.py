"""What a telephone line does to a voice, and what is on it when nobody speaks."""
import numpy as np
from scipy.signal import butter, firwin, lfilter, sosfilt, upfirdn

RATE_HZ = 8_000
# The engine's resampler is one of many: several upsamplers keep the model from learning one.
UPSAMPLERS = [firwin(taps, cutoff, fs=2 * RATE_HZ).astype(np.float32) * 2
              for taps, cutoff in ((63, 3850), (95, 3900), (47, 3700), (63, 3950))]
BANDS = [butter(2, band, "bandpass", fs=RATE_HZ, output="sos")
         for band in ((120, 3900), (200, 3600), (300, 3400), (250, 3700))]
DTMF_LOW_HZ, DTMF_HIGH_HZ = (697, 770, 852, 941), (1209, 1336, 1477, 1633)
TONES_HZ = (350, 400, 425, 440, 480, 620, 1000)

_white = np.random.default_rng(0).standard_normal(1 << 20).astype(np.float32)
_pink = lfilter([0.049922035, -0.095993537, 0.050612699, -0.004408786],
                [1, -2.494956002, 2.017265875, -0.522189400], _white).astype(np.float32)
_brown = lfilter([1], [1, -.97], _white).astype(np.float32)
NOISES = [noise / noise.std() for noise in (_white, _pink, _brown)]


def decibels(db):
    return 10 ** (db / 20)


def mulaw(audio):
    """Through G.711's logarithmic steps and back, as 8-bit companding does."""
    audio = np.clip(audio, -1, 1)
    steps = np.round(np.sign(audio) * np.log1p(255 * np.abs(audio)) / np.log(256.) * 127.) / 127.
    return (np.sign(steps) * (np.power(256., np.abs(steps)) - 1) / 255.).astype(np.float32)


def upsample(audio, r):
    """8 -> 16 kHz, without delay."""
    taps = UPSAMPLERS[r.randrange(len(UPSAMPLERS))]
    delay = (len(taps) - 1) // 2
    return upfirdn(taps, audio, 2)[delay:delay + 2 * len(audio)].astype(np.float32)


def noise(r, samples):
    source = NOISES[r.randrange(len(NOISES))]
    start = r.randrange(len(source) - samples)
    return source[start:start + samples]


def telephone(voice, r, babble=None):
    """A voice at 8 kHz as an endpointed turn of a call: (the audio at 8 kHz, samples before the voice).

    Room before and after as endpointing leaves it, noise, perhaps other people, a microphone, a band, a level, μ-law.
    """
    lead = int(RATE_HZ * r.choice([0, .1, .2, .3, r.random() * .6]))
    tail = int(RATE_HZ * r.choice([.02, .1, .2, .3, .5, r.random() * 1.2]))
    audio = np.zeros(lead + len(voice) + tail, np.float32)
    audio[lead:lead + len(voice)] = voice
    level = np.sqrt((voice * voice).mean() + 1e-9)
    audio += noise(r, len(audio)) * (level * decibels(-r.uniform(8, 45)))
    if babble is not None and r.random() < .12:
        babble = babble[:len(audio)]
        babble_level = np.sqrt((babble * babble).mean() + 1e-9)
        audio[:len(babble)] += babble * (level / babble_level * decibels(-r.uniform(15, 30)))
    if r.random() < .5:                      # a microphone or handset that is bright or dull
        audio = lfilter([1, r.uniform(-.7, .5)], [1], audio).astype(np.float32)
    if r.random() < .7:
        audio = sosfilt(BANDS[r.randrange(len(BANDS))], audio).astype(np.float32)
    audio *= decibels(r.uniform(-26, -.5)) / (np.abs(audio).max() + 1e-6)
    return (mulaw(audio) if r.random() < .8 else audio), lead


def tones(r, samples):
    """Keys pressed, a beep, or a ringing line."""
    audio = np.zeros(samples, np.float32)
    time = np.arange(samples, dtype=np.float32) / RATE_HZ
    kind = r.random()
    gain = decibels(r.uniform(-35, -4))
    at = r.randrange(0, max(1, samples // 3))
    while at < samples:
        if kind < .7:
            hz, length, gap = (r.choice(DTMF_LOW_HZ), r.choice(DTMF_HIGH_HZ)), r.randint(400, 3000), r.randint(300, 2500)
        elif kind < .85:
            hz, length, gap = (r.choice([*TONES_HZ, r.uniform(200, 3300)]),), r.randint(800, 8000), r.randint(800, 8000)
        else:
            hz, length, gap = (440, 480), r.randint(3000, 16000), r.randint(8000, 32000)
        length = min(length, samples - at)
        audio[at:at + length] += sum(np.sin(2 * np.pi * f * time[:length]) for f in hz) / len(hz) * gain
        at += length + gap
    return audio


def no_speech(r):
    """Silence, noise, clicks or tones, 0.3 to 3 s, at 8 kHz."""
    samples = int(RATE_HZ * r.uniform(.3, 3))
    audio = noise(r, samples) * decibels(r.uniform(-75, -30))
    if r.random() < .15:
        audio = audio * 0
    if r.random() < .3:
        for _ in range(r.randint(1, 3)):
            start, length = r.randrange(samples), r.randint(20, 400)
            length = min(length, samples - start)
            decay = np.exp(-np.arange(length) / (length / 4))
            audio[start:start + length] += noise(r, length) * decay.astype(np.float32) * .1
    if r.random() < .4:
        audio = audio + tones(r, samples)
    return mulaw(audio)
