"""Trains the model on the shards of work/data, on whatever device JAX finds.

    train.py --out work/run1.npz --minutes 60 [--init checkpoint.npz]

Writes the moving average of the parameters every three minutes, and when it is told to stop (SIGINT, SIGTERM).
Batches are made by another process.
"""
import argparse
import multiprocessing
import pickle
import random
import signal
import time
from pathlib import Path

import numpy as np

import channel
import checkpoint
import generate
import vocabulary
from features import HOP, POSITION, log_mel

# Encoder positions and decoder tokens of a batch's utterances; each pair is compiled once.
BUCKETS = [(64, 12), (84, 16), (104, 18), (128, 22), (152, 26), (184, 29), (216, 32), (320, 36)]
# Which share of the utterances comes from which folder of the data; the rest is no speech.
MIX = {"order_line": .25, "order_line_flite": .08, "digits": .05, "digits_human": .12, "wide": .05, "es": .19, "pt": .19}
PROMPT = len(vocabulary.prompt("en"))


def positions_of(text, samples, labels, lead):
    """Of each token, the encoder positions of its word: (first, end), zero where not known."""
    words, starts = text.split(), labels[2]
    first, end = [], []
    for i, word in enumerate(words):
        following = next((start for start in starts[i + 1:] if start >= 0), samples)
        known = starts[i] >= 0
        for _ in vocabulary.encode_word(word):
            first.append(max(0, (starts[i] + lead) // HOP - 3) if known else 0)
            end.append((following + lead) // HOP + 4 if known else 0)
    return first, end


def masked(mel, frames, r):
    """SpecAugment: some times and some bands are taken out."""
    floor = mel.min()
    for _ in range(r.randint(0, 2)):
        start = r.randrange(frames)
        mel[start:start + r.randint(2, 14)] = floor
    for _ in range(r.randint(0, 2)):
        start = r.randrange(76)
        mel[:, start:start + r.randint(1, 7)] = floor
    return mel


def example(utterance, babble, r):
    """(bucket, mel, language, tokens, phonemes, word positions), or None where no bucket is long enough."""
    lead, language, tokens, first, end = 0, None, [], [], []
    if utterance is None:
        audio = channel.no_speech(r)
    else:
        text, language, _, voice, labels = utterance
        audio, lead = channel.telephone(voice.astype(np.float32) / 32768, r, babble)
        tokens = vocabulary.encode(text)
        first, end = positions_of(text, len(voice), labels, lead) if labels else ([0] * len(tokens), [0] * len(tokens))
    audio = channel.upsample(audio, r)
    needed = len(audio) // POSITION + 1
    fits = (i for i, (positions, length) in enumerate(BUCKETS) if needed <= positions and len(tokens) + PROMPT <= length)
    bucket = next(fits, None)
    if bucket is None:
        return None
    if r.random() < .08:                     # how much silence follows must not matter
        bucket = min(bucket + r.randint(1, 2), len(BUCKETS) - 1)
    positions = BUCKETS[bucket][0]
    mel = log_mel(audio, 2 * positions)
    if r.random() < .5:
        mel = masked(mel, 2 * needed, r)
    phonemes = np.full(positions, -1, np.int32)
    if utterance is None:
        phonemes[:] = generate.PAUSE
    elif labels and labels[0] is not None:
        at = np.searchsorted(labels[1] + lead, np.arange(positions) * HOP, "right") - 1
        phonemes = np.where(at < 0, generate.PAUSE, labels[0][np.maximum(at, 0)]).astype(np.int32)
    return bucket, mel, language, tokens, phonemes, first, end


def stack(examples, index, corruption, r):
    """A batch. A share of the decoder's inputs is replaced, so that it leans on the audio and not on itself."""
    length = BUCKETS[examples[0][0]][1]
    shape = (len(examples), length)
    batch = {"mel": np.stack([e[1] for e in examples]), "phonemes": np.stack([e[4] for e in examples]),
             "tokens": np.zeros(shape, np.int32), "targets": np.full(shape, -1, np.int32),
             "word_start": np.zeros(shape, np.int32), "word_end": np.zeros(shape, np.int32)}
    special = len(vocabulary.SPECIAL)
    for row, (_, _, language, tokens, _, first, end) in enumerate(examples):
        tokens = [index[token] for token in tokens]
        given = [t if r.random() >= corruption else r.randrange(special, len(index)) for t in tokens]
        # Nobody speaks in any language.
        prompt = vocabulary.prompt(language or r.choice(list(vocabulary.LANGUAGES)))
        given = [index[token] for token in prompt] + given
        batch["tokens"][row, :len(given)] = given
        if language:
            batch["targets"][row, 0] = index[vocabulary.LANGUAGES[language]]
        # Whisper says that nobody spoke by a token in the first place, or by ending at once: both are learnt.
        nobody = not tokens and r.random() < .65
        target = [index[vocabulary.NO_SPEECH]] if nobody else tokens + [index[vocabulary.END_OF_TEXT]]
        at = PROMPT - 1                      # the outputs of the prompt's last token and those after it
        batch["targets"][row, at:at + len(target)] = target
        batch["word_start"][row, at:at + len(first)] = first
        batch["word_end"][row, at:at + len(end)] = end
    return batch


def produce(queue, options, tokens):
    """Fills the queue with batches, without end; looks for new shards now and then."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)        # the trainer ends both
    r, index = random.Random(options.seed), {token: i for i, token in enumerate(tokens)}
    pools, read, looked = {name: [] for name in MIX}, set(), 0.0
    bins = [[] for _ in BUCKETS]
    while True:
        if time.monotonic() - looked > 90:
            for name in MIX:
                for path in sorted((options.data / name).glob("*.pkl")):
                    if path not in read:
                        read.add(path)
                        pools[name] += pickle.loads(path.read_bytes())
            looked = time.monotonic()
        here = [name for name in MIX if pools[name]]
        if not here:
            raise SystemExit(f"no shards in {options.data}: generate some (README.md)")
        if r.random() < 1 - sum(MIX.values()):
            made = example(None, None, r)
        else:
            pool = pools[r.choices(here, [MIX[name] for name in here])[0]]
            babble = r.choice(pool)[3].astype(np.float32) / 32768
            made = example(r.choice(pool), babble, r)
        if made is None:
            continue
        waiting = bins[made[0]]
        waiting.append(made)
        if len(waiting) == max(1, options.positions // BUCKETS[made[0]][0]):
            queue.put(stack(waiting, index, options.corruption, r))
            waiting.clear()


def grown(parameters, tokens, old_tokens, seed):
    """The parameters of a model with fewer tokens, with random rows for the new ones."""
    assert tokens[:len(old_tokens)] == old_tokens
    rows = parameters["decoder.token_embedding.weight"]
    new = np.random.default_rng(seed).standard_normal((len(tokens) - len(old_tokens), rows.shape[1])) * .04
    return parameters | {"decoder.token_embedding.weight": np.concatenate([rows, new.astype(np.float32)])}


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--out", type=Path, required=True)
    options.add_argument("--data", type=Path, default=Path(__file__).parent / "work" / "data")
    options.add_argument("--init", type=Path, help="a checkpoint to go on from")
    options.add_argument("--minutes", type=float, default=60)
    options.add_argument("--rate", type=float, default=1e-3, help="learning rate")
    options.add_argument("--flat", type=float, default=.3, help="share of the time before the rate falls, linearly")
    options.add_argument("--warm-up", type=int, default=100, help="steps")
    options.add_argument("--positions", type=int, default=1664,
                         help="encoder positions in a batch; a GPU takes 40 times as many")
    options.add_argument("--corruption", type=float, default=.12, help="share of the decoder's inputs replaced at random")
    options.add_argument("--width", type=int, default=128, help="of a new model; heads are 32 wide")
    options.add_argument("--seed", type=int, default=0)
    options = options.parse_args()

    seen = 0
    if options.init:
        parameters, old_tokens, shape, seen = checkpoint.load(options.init)
        tokens = vocabulary.used_tokens(old_tokens)
        parameters = grown(parameters, tokens, old_tokens, options.seed)
    else:
        tokens = vocabulary.used_tokens()

    # Started before JAX starts threads of its own.
    context = multiprocessing.get_context("fork")
    queue = context.Queue(24)
    producer = context.Process(target=produce, args=(queue, options, tokens), daemon=True)
    producer.start()

    import jax
    import jax.numpy as jnp
    import optax

    import model
    jax.config.update("jax_compilation_cache_dir", str(options.out.parent / "jax_cache"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 1)
    if not options.init:
        shape = model.Shape(width=options.width, heads=options.width // 32)
        parameters = model.initial(shape, len(tokens), len(generate.PHONEMES), options.seed)
    parameters = jax.tree.map(jnp.asarray, parameters)
    optimiser = optax.chain(optax.clip_by_global_norm(1.0), optax.scale_by_adam(b1=.9, b2=.98),
                            optax.add_decayed_weights(.02, mask=jax.tree.map(lambda x: x.ndim > 1, parameters)))
    state = optimiser.init(parameters)
    average = jax.tree.map(jnp.copy, parameters)

    @jax.jit
    def update(parameters, average, state, batch, rate, keep):
        (_, parts), gradient = jax.value_and_grad(model.losses, has_aux=True)(parameters, batch, shape)
        direction, state = optimiser.update(gradient, state, parameters)
        parameters = jax.tree.map(lambda p, u: p - rate * u, parameters, direction)
        average = jax.tree.map(lambda a, p: a * keep + p * (1 - keep), average, parameters)
        return parameters, average, state, jnp.stack(parts)

    print(sum(x.size for x in parameters.values()), "parameters,", len(tokens), "tokens, on", jax.devices()[0], flush=True)
    told_to_stop = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: told_to_stop.append(number))
    began, saved, step, parts = time.monotonic(), time.monotonic(), 0, []
    while (share := (time.monotonic() - began) / (60 * options.minutes)) < 1 and not told_to_stop:
        if not producer.is_alive():
            raise SystemExit("the producer of batches ended")
        fall = 1 if share < options.flat else (1 - share) / (1 - options.flat)
        rate = options.rate * min(1, (step + 1) / options.warm_up) * max(fall, .01)
        batch = queue.get()
        keep = min(.998, (step + 20) / (step + 40))
        parameters, average, state, part = update(parameters, average, state, batch, rate, keep)
        parts.append(part)
        step += 1
        seen += len(batch["mel"])
        if step % 100 == 0:
            token, phoneme, alignment = np.mean(parts, 0)
            parts = []
            print(f"{(time.monotonic() - began) / 60:.1f} min, step {step}, {seen} utterances, rate {rate:.1e}: "
                  f"token {token:.3f}, phoneme {phoneme:.3f}, alignment {alignment:.3f}; {queue.qsize()} batches wait",
                  flush=True)
        if time.monotonic() - saved > 180:
            checkpoint.save(options.out, average, tokens, shape, seen)
            saved = time.monotonic()
    checkpoint.save(options.out, average, tokens, shape, seen)
    print(f"{step} steps, {seen} utterances: {options.out}", flush=True)
    producer.kill()                          # it waits on a full queue
    queue.cancel_join_thread()


if __name__ == "__main__":
    main()
