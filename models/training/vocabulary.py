"""Whisper's multilingual vocabulary of byte pairs, and the few of its tokens that the model uses."""
import base64
import functools
import re

import grammar
from features import whisper_assets

SIZE = 51_865                   # of Whisper's multilingual models up to large-v2
END_OF_TEXT, START_OF_TRANSCRIPT = 50_257, 50_258
LANGUAGES = {"en": 50_259, "es": 50_262, "pt": 50_267}
TRANSCRIBE, NO_SPEECH, NO_TIMESTAMPS = 50_359, 50_362, 50_363
SPECIAL = [END_OF_TEXT, START_OF_TRANSCRIPT, NO_SPEECH, NO_TIMESTAMPS, *LANGUAGES.values(), TRANSCRIBE]


def prompt(language):
    """What the decoder starts from. The first token's output is the language."""
    return [START_OF_TRANSCRIPT, LANGUAGES[language], TRANSCRIBE, NO_TIMESTAMPS]


RANKS = {base64.b64decode(token): int(rank) for token, rank in
         (line.split() for line in (whisper_assets() / "multilingual.tiktoken").read_bytes().splitlines() if line)}
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
    pieces = re.findall(r"'[a-z]+|[^\W\d_]+", word)
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
