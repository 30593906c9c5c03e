"""Prints the model's figures: generates held-out audio from fixed seeds and transcribes it with the engine.

    evaluate.py [MODEL] [--recordings DIR] [--show 5]

MODEL is `demo`, the bundled one, or a ggml file. The audio is what the engine would get: 8 kHz that went through
μ-law, with the room that endpointing leaves. Word error rates are in percent, once with the language given, as in a
call that is configured for it, and once with the language detected.
"""
import argparse
import random
import shlex
import subprocess
import wave
from pathlib import Path

import numpy as np

import channel
import generate
import grammar
import vocabulary

HERE = Path(__file__).parent
TRANSCRIBER = "cargo run --quiet --release -p sidetone-speech --example transcribe --"
# name: (voice, domain, utterances, seed)
SPEECH = {
    "the demo's lines, espeak-ng voices": ("espeak", "demo", 250, 801),
    "the demo's lines, flite's voice rms": ("flite", "demo", 50, 802),
    "unseen order-line sentences, espeak-ng voices": ("espeak", "order_line", 250, 803),
    "unseen order-line sentences, flite's voice rms": ("flite", "order_line", 50, 804),
    "digit strings, espeak-ng voices": ("espeak", "digits", 150, 805),
    "digit strings of a person": ("human", "digits", 200, 806),
    "unseen sentences of all kinds of calls, espeak-ng voices": ("espeak", "wide", 150, 807),
    "Spanish: unseen sentences, espeak-ng voices": ("espeak", "es", 250, 811),
    "Spanish: digit strings, espeak-ng voices": ("espeak", "es_digits", 150, 812),
    "Portuguese: unseen sentences, espeak-ng voices": ("espeak", "pt", 250, 813),
    "Portuguese: digit strings, espeak-ng voices": ("espeak", "pt_digits", 150, 814),
}
NO_SPEECH_SEED, NO_SPEECH_COUNT = 808, 60


def line(audio, path):
    """Writes 8 kHz float audio as it comes off a telephone line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, channel.RATE_HZ, 0, "NONE", ""))
        file.writeframes((channel.mulaw(audio) * 32767).astype("<i2").tobytes())
    return path


def speech(folder, voice, domain, count, seed, recordings):
    """[(path, text, voice)]"""
    source, r = generate.utterances(voice, domain, "held_out", seed, recordings), random.Random(seed)
    rows = []
    for i in range(count):
        text, _, name, audio, _ = next(source)
        heard, _ = channel.telephone(audio.astype(np.float32) / 32768, r)
        rows.append((line(heard, folder / f"{seed}_{i:03d}.wav"), text, name))
    return rows


def no_speech(folder):
    """{kind: [(path, "", kind)]}"""
    r = random.Random(NO_SPEECH_SEED)
    samples = lambda: int(channel.RATE_HZ * r.uniform(.5, 3))
    kinds = {
        "silence": lambda: np.zeros(samples(), np.float32),
        "noise": lambda: channel.noise(r, samples()) * channel.decibels(r.uniform(-60, -30)),
        "key tones and beeps": lambda: channel.tones(r, n := samples()) + channel.noise(r, n) * channel.decibels(-60),
    }
    return {kind: [(line(make(), folder / f"{NO_SPEECH_SEED}_{kind.split()[0]}_{i:03d}.wav"), "", kind)
                   for i in range(NO_SPEECH_COUNT)] for kind, make in kinds.items()}


def transcribe(command, model, rows, language=None):
    """[(language, text)], the language detected where it is not given."""
    paths = "".join(f"{path}\n" for path, _, _ in rows)
    arguments = [*shlex.split(command), model, *([language] if language else [])]
    done = subprocess.run(arguments, input=paths, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr.strip())
    heard = {path: (language, text) for path, language, text in
             (line.split("\t", 2) for line in done.stdout.splitlines())}
    return [(heard[str(path)][0], " ".join(heard[str(path)][1].lower().split())) for path, _, _ in rows]


def edits(said, heard):
    """The fewest words to put in, leave out and replace."""
    row = list(range(len(heard) + 1))
    for i, word in enumerate(said, 1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(heard, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (word != other))
    return row[-1]


def word_error_rate(said, heard):
    wrong = sum(edits(s.lower().split(), h.split()) for s, h in zip(said, heard))
    return 100 * wrong / sum(len(s.split()) for s in said)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("model", nargs="?", default="demo")
    options.add_argument("--recordings", type=Path, help="single digits of people; without them that row is left out")
    options.add_argument("--work", type=Path, default=HERE / "work" / "held_out")
    options.add_argument("--transcriber", default=TRANSCRIBER)
    options.add_argument("--show", type=int, default=0, help="so many mistakes of each row")
    a = options.parse_args()

    print("| held out | utterances | word error rate | wholly right | language detected | word error rate then |\n"
          "|---|---|---|---|---|---|")
    for name, (voice, domain, count, seed) in SPEECH.items():
        if voice == "human" and not a.recordings:
            continue
        language, rows = grammar.language_of(domain), speech(a.work, voice, domain, count, seed, a.recordings)
        said = [text for _, text, _ in rows]
        heard = [text for _, text in transcribe(a.transcriber, a.model, rows, language)]
        detected, heard_then = zip(*transcribe(a.transcriber, a.model, rows))
        right = np.mean([s.lower() == h for s, h in zip(said, heard)])
        found = np.mean([d == language for d in detected])
        print(f"| {name} | {count} | {word_error_rate(said, heard):.1f} % | {100 * right:.0f} % | {100 * found:.1f} % "
              f"| {word_error_rate(said, heard_then):.1f} % |", flush=True)
        mistakes = [(v, s, h) for (_, s, v), h in zip(rows, heard) if s.lower() != h]
        for voice, s, h in mistakes[:a.show]:
            print(f"    {voice}: {s} => {h}")
        for (_, s, voice), d in [(row, d) for row, d in zip(rows, detected) if d != language][:a.show]:
            print(f"    {voice}: {s} is taken for {d}")
    print("\n| nobody speaks | clips | empty text |\n|---|---|---|")
    for kind, rows in no_speech(a.work).items():
        heard = [text for language in (*vocabulary.LANGUAGES, None)
                 for _, text in transcribe(a.transcriber, a.model, rows, language)]
        print(f"| {kind} | {len(rows)} | {100 * np.mean([not h for h in heard]):.0f} % |", flush=True)
        for h in [h for h in heard if h][:a.show]:
            print(f"    {h}")


if __name__ == "__main__":
    main()
