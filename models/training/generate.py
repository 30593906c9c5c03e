"""Speaks sentences of the grammar and writes them as shards of 8 kHz audio.

    generate.py OUT --voice espeak --domain order_line --count 20000 --seed 22

--voice espeak   espeak-ng by its C library, which also gives the time of each word and phoneme
        flite    flite's program
        human    recorded digits of people, --recordings DIR with files {digit}_{speaker}_{index}.wav
--split train    voices and templates to train on
        held_out voices and templates never trained on
"""
import argparse
import bisect
import ctypes
import pickle
import random
import struct
import subprocess
import sys
import tempfile
import time
import wave
from pathlib import Path

import numpy as np
from scipy.signal import resample_poly

import grammar
import romance

RATE_HZ = 8_000
SHARD_UTTERANCES = 1_000
LONGEST_S = 7.0

ACCENTS = {
    ("en", "train"): ["en-us", "en-us", "en-us", "en-gb", "en-gb", "en-gb-x-rp", "en-gb-scotland", "en-gb-x-gbclan",
                      "en-gb-x-gbcwmd", "en-us-nyc"],
    ("en", "held_out"): ["en-029", "en-us", "en-gb"],
} | {(language, split): accents for split in ("train", "held_out")
     for language, accents in (("es", ["es", "es-419"]), ("pt", ["pt", "pt-br", "pt-br"]))}
VARIANTS = {
    "train": ["", "m1", "m2", "m3", "m4", "m6", "m7", "m8", "f1", "f2", "f3", "f5", "klatt", "klatt2", "klatt3", "klatt4",
              "Alex", "Alicia", "Andrea", "Andy", "Annie", "Denis", "Diogo", "Gene", "Jacky", "Lee", "Marco", "Michael",
              "Mike", "Storm", "adam", "anika", "antonio", "belinda", "benjamin", "boris", "caleb", "david", "ed",
              "edward", "grandma", "gustave", "iven", "iven2", "john", "linda", "max", "michel", "miguel", "norbert",
              "pablo", "paul", "pedro", "robert", "rob", "sandro", "shelby", "steph", "steph2", "travis", "victor", "zac"],
    "held_out": ["m5", "f4", "Mario", "Hugo", "Nguyen", "aunty", "grandpa", "quincy", "marcelo", "steph3", "Gene2", "iven4"],
}
FLITE_VOICES = {"train": ["slt", "slt", "awb", "awb", "kal16", "kal"], "held_out": ["rms"]}
HELD_OUT_SPEAKER = "theo"
HELD_OUT_RECORDINGS = 5         # of each digit of each other speaker: the first ones

# espeak-ng's phonemes; what is not listed falls back on its beginning.
PHONEMES = ["_"] + (
    "t n s I k m d aI l r @ E eI a i: z p w v f V u: b 3 oU a# D T 0 j N h i 3: O@ I2 U dZ aU O: A@ g @L tS O2 r- o@ I# "
    "t# @2 e@ S aa aI2 i@ U@ OI @- A: t2 @5 VR IR w# Z i@3 aI@ "
    # of Spanish and Portuguese besides
    "e o u B ** * J^ Q R R2 x O y & &~ &U~ u~ o~ eU oI").split()
PHONEME_IDS = {phoneme: i for i, phoneme in enumerate(PHONEMES)}
PAUSE = 0


def phoneme_id(name):
    if name.startswith("_"):
        return PAUSE
    while name:
        if name in PHONEME_IDS:
            return PHONEME_IDS[name]
        name = name[:-1]
    return None


def speakable(text, language, r):
    """The text as a synthesiser should get it, and where each word of `text` starts in it, in characters."""
    words, spoken = text.split(), []
    digits = grammar.DIGITS if language == "en" else romance.DIGITS[language]
    short = [word in digits or len(word) == 1 and word.isupper() for word in words]
    for i, word in enumerate(words):
        previous, said = words[i - 1] if i else "", word
        if language == "en":
            said = {"A": "ay", "pm": "pee em"}.get(word, word)
            if word == "am" and previous != "i":
                said = "ay em"
        # People pause within long digit strings and spellings.
        if i + 1 < len(words) and short[i] and short[i + 1] and r.random() < (.12 if len(word) > 1 else .3):
            said += ","
        spoken.append(said)
    starts = np.concatenate([[0], np.cumsum([len(said) + 1 for said in spoken])])[:-1]
    return " ".join(spoken), starts.tolist()


def resample(audio, up, down):
    return resample_poly(audio, up, down).astype(np.float32)


def trim(audio, threshold=.004, keep=400):
    """Without the silence around it: (audio, samples cut from the front)."""
    loud = np.nonzero(np.abs(audio) > threshold)[0]
    if not len(loud):
        return audio[:0], 0
    start = max(0, loud[0] - keep)
    return audio[start:loud[-1] + keep], start


class Espeak:
    """espeak-ng's C library, synchronous, with word and phoneme events."""
    RATE_HZ = 22_050
    EVENT_SIZE, LIST_TERMINATED, WORD, PHONEME = 40, 0, 1, 7
    PARAM_RATE, PARAM_PITCH, PARAM_RANGE = 1, 3, 4

    def __init__(self):
        self.library = ctypes.CDLL("libespeak-ng.so.1")
        output_synchronous, phoneme_events = 2, 1
        rate = self.library.espeak_Initialize(output_synchronous, 0, None, phoneme_events)
        if rate != self.RATE_HZ:
            sys.exit(f"espeak-ng works at {rate} Hz, expected {self.RATE_HZ}: is its data installed?")
        signature = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
        self.callback = signature(self.receive)
        self.library.espeak_SetSynthCallback(self.callback)
        self.audio, self.events, self.voice = [], [], None

    def receive(self, audio, samples, events):
        if audio and samples > 0:
            self.audio.append(np.ctypeslib.as_array(audio, (samples,)).copy())
        while events:
            raw = ctypes.string_at(events, self.EVENT_SIZE)
            kind, _, text_position, _, _, sample = struct.unpack("iIiiii", raw[:24])
            if kind == self.LIST_TERMINATED:
                break
            if kind in (self.WORD, self.PHONEME):
                name = raw[32:40].split(b"\0")[0].decode("latin1") if kind == self.PHONEME else ""
                self.events.append((kind, text_position, sample, name))
            events += self.EVENT_SIZE
        return 0

    def say(self, text, voice, words_per_minute, pitch, pitch_range):
        """(audio at 22.05 kHz, events), or None where the voice does not exist or says nothing."""
        self.audio.clear()
        self.events.clear()
        if voice != self.voice:
            if self.library.espeak_SetVoiceByName(voice.encode()) != 0:
                return None
            self.voice = voice
        for parameter, value in ((self.PARAM_RATE, words_per_minute), (self.PARAM_PITCH, pitch),
                                 (self.PARAM_RANGE, pitch_range)):
            self.library.espeak_SetParameter(parameter, value, 0)
        raw, utf8 = text.encode(), 1
        self.library.espeak_Synth(raw, len(raw) + 1, 0, 1, 0, utf8, None, None)
        if not self.audio:
            return None
        return np.concatenate(self.audio).astype(np.float32) / 32768, list(self.events)


def espeak_utterance(espeak, text, language, split, r):
    voice = r.choice(ACCENTS[language, split])
    if variant := r.choice(VARIANTS[split]):
        voice += "+" + variant
    spoken, starts = speakable(text, language, r)
    said = espeak.say(spoken, voice, r.randint(130, 215), r.randint(25, 75), r.randint(20, 80))
    if said is None:
        return None
    audio, events = said
    # 40/110.25 takes 22.05 to 8 kHz; around it formants and tempo move.
    down = r.randint(96, 128) if split == "train" else r.choice([106, 110, 114])
    audio, cut = trim(resample(audio, 40, down))
    word_starts = np.full(len(starts), -1, np.int32)
    phonemes, phoneme_starts = [], []
    for kind, text_position, sample, name in events:
        at = int(sample * 40 / down) - cut
        if kind == Espeak.WORD:
            word = bisect.bisect_right(starts, text_position - 1) - 1
            if word >= 0 and word_starts[word] < 0:
                word_starts[word] = max(0, at)
        elif name != ";" and (phoneme := phoneme_id(name)) is not None:
            phonemes.append(phoneme)
            phoneme_starts.append(at)
    return audio, voice, (np.array(phonemes, np.int16), np.array(phoneme_starts, np.int32), word_starts)


def read_wav(path):
    with wave.open(str(path)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), np.int16).astype(np.float32) / 32768, file.getframerate()


def flite_utterance(text, split, r):
    voice = r.choice(FLITE_VOICES[split])
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        subprocess.run(["flite", "-voice", voice, "--setf", f"duration_stretch={r.uniform(.8, 1.2):.2f}",
                        "-t", speakable(text, "en", r)[0], "-o", file.name], check=True, stdout=subprocess.DEVNULL)
        audio, rate = read_wav(file.name)
    down = r.randint(88, 114) if split == "train" else 100
    return trim(resample(audio, 100 if rate == RATE_HZ else 50, down))[0], "flite_" + voice, None


def human_recordings(folder, split):
    """{speaker: {digit: [audio]}} at 8 kHz."""
    bank = {}
    for path in sorted(Path(folder).glob("*.wav")):
        digit, speaker, index = path.stem.split("_")
        held_out = speaker == HELD_OUT_SPEAKER
        if split == "train" and int(index) < HELD_OUT_RECORDINGS or held_out != (split == "held_out"):
            continue
        audio, rate = read_wav(path)
        if rate != RATE_HZ:
            sys.exit(f"{path}: {rate} Hz, expected {RATE_HZ}")
        bank.setdefault(speaker, {}).setdefault(int(digit), []).append(audio / (np.abs(audio).max() + 1e-6) * .5)
    if not bank:
        sys.exit(f"{folder}: no recordings named DIGIT_SPEAKER_INDEX.wav for this split")
    return bank


def human_utterance(bank, split, r):
    speaker = r.choice(sorted(bank))
    digits = [r.randint(0, 9) for _ in range(min(8, max(1, int(r.gauss(4, 2)))))]
    parts, starts = [], []
    for digit in digits:
        starts.append(sum(map(len, parts)))
        parts.append(trim(r.choice(bank[speaker][digit]), .01, 160)[0] * r.uniform(.7, 1.3))
        parts.append(np.zeros(int(RATE_HZ * r.choice([0, 0, .03, .08, .15, .3])), np.float32))
    audio, down = np.concatenate(parts[:-1]), 100
    if split == "train":
        down = r.randint(84, 119)
        audio = resample(audio, 100, down)
    word_starts = (np.array(starts) * 100 / down).astype(np.int32)
    return audio, "human_" + speaker, (None, None, word_starts), " ".join(grammar.DIGITS[d] for d in digits)


def utterances(voice, domain, split, seed, recordings=None):
    """Without end: (text, language, voice, 8 kHz int16 audio, labels).

    Labels are None or (phonemes, their starts, the words' starts) in samples; phonemes may be None, and a word's start -1.
    """
    r, language = random.Random(seed), grammar.language_of(domain)
    if language != "en" and voice != "espeak":
        sys.exit(f"--voice {voice} speaks English only")
    espeak = Espeak() if voice == "espeak" else None
    bank = human_recordings(recordings, split) if voice == "human" else None
    while True:
        if voice == "human":
            audio, name, labels, text = human_utterance(bank, split, r)
        else:
            text = grammar.sample(r, domain, split)
            said = espeak_utterance(espeak, text, language, split, r) if espeak else flite_utterance(text, split, r)
            if said is None:
                continue
            audio, name, labels = said
        if not 1200 <= len(audio) <= RATE_HZ * LONGEST_S:
            continue
        yield text, language, name, (audio / (np.abs(audio).max() + 1e-6) * .6 * 32767).astype(np.int16), labels


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("out", type=Path)
    options.add_argument("--voice", choices=["espeak", "flite", "human"], required=True)
    options.add_argument("--domain", choices=grammar.DOMAINS, default="digits")
    options.add_argument("--split", choices=["train", "held_out"], default="train")
    options.add_argument("--count", type=int, required=True)
    options.add_argument("--seed", type=int, required=True)
    options.add_argument("--recordings", type=Path)
    a = options.parse_args()
    a.out.mkdir(parents=True, exist_ok=True)
    source = utterances(a.voice, a.domain, a.split, a.seed, a.recordings)
    began = time.time()
    for shard in range(-(-a.count // SHARD_UTTERANCES)):
        batch = [next(source) for _ in range(min(SHARD_UTTERANCES, a.count - shard * SHARD_UTTERANCES))]
        path = a.out / f"{a.voice}_{a.seed}_{shard:03d}.pkl"
        with open(path.with_suffix(".tmp"), "wb") as file:
            pickle.dump(batch, file)
        path.with_suffix(".tmp").rename(path)
    print(f"{a.count} utterances in {time.time() - began:.0f} s: {a.out}")


if __name__ == "__main__":
    main()
