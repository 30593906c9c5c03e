"""Whisper's English vocabulary (GPT-2's byte pairs), and the few of its tokens that the model uses."""
import base64
import functools
import re

import grammar
from features import whisper_assets

SIZE = 51_864                   # of Whisper's English-only models
END_OF_TEXT, START_OF_TRANSCRIPT, NO_SPEECH, NO_TIMESTAMPS = 50_256, 50_257, 50_361, 50_362
SPECIAL = [END_OF_TEXT, START_OF_TRANSCRIPT, NO_SPEECH, NO_TIMESTAMPS]

RANKS = {base64.b64decode(token): int(rank) for token, rank in
         (line.split() for line in (whisper_assets() / "gpt2.tiktoken").read_bytes().splitlines() if line)}
BYTES = {rank: token for token, rank in RANKS.items()}


def byte_pairs(piece):
    parts = [bytes([b]) for b in piece.encode()]
    while True:
        ranked = [(RANKS[parts[i] + parts[i + 1]], i) for i in range(len(parts) - 1) if parts[i] + parts[i + 1] in RANKS]
        if not ranked:
            return [RANKS[part] for part in parts]
        i = min(ranked)[1]
        parts[i:i + 2] = [parts[i] + parts[i + 1]]


@functools.cache
def encode_word(word):
    pieces = re.findall(r"'[a-z]+|[A-Za-z]+", word)
    return [token for i, piece in enumerate(pieces) for token in byte_pairs(piece if i else " " + piece)]


def encode(text):
    return [token for word in text.split() for token in encode_word(word)]


def decode(tokens):
    return b"".join(BYTES.get(token, b"") for token in tokens).decode("utf8", "replace").strip()


def used_tokens(known=()):
    """The tokens of every sentence of the grammar: those of an older model first, in its order."""
    wanted = set(SPECIAL) | {token for word in grammar.words() for token in encode_word(word)}
    known = list(known) or SPECIAL
    return known + sorted(wanted - set(known))
