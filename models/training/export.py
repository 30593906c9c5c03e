"""Writes a checkpoint as whisper.cpp's ggml file, quantised to q5_0.

    export.py checkpoint.npz demo.bin
"""
import struct
import sys
from pathlib import Path

import numpy as np

import checkpoint
import model
import vocabulary
from features import MEL_FILTERS

MAGIC = 0x67676d6c
F32, F16, Q5_0 = 0, 1, 6        # ggml's tensor types
MOSTLY_Q5_0, QUANTISATION_VERSION = 8, 2
NEVER = -30.0                   # what unused rows hold where the decoder's output is the constant 1


def q5_0(x):
    """ggml's blocks of 32: a float16 scale, the fifth bits, then the low four bits of each value."""
    blocks = np.ascontiguousarray(x, np.float32).reshape(-1, 32)
    largest = blocks[np.arange(len(blocks)), np.abs(blocks).argmax(1)]
    scale = largest / -16
    inverse = np.where(scale != 0, 1 / np.where(scale == 0, 1, scale), 0)
    q = np.minimum(31, (blocks * inverse[:, None] + 16.5).astype(np.int8)).astype(np.uint32)
    low = ((q[:, :16] & 15) | ((q[:, 16:] & 15) << 4)).astype(np.uint8)
    fifth = (((q >> 4) & 1) << np.arange(32, dtype=np.uint32)).sum(1).astype("<u4")
    packed = np.empty((len(blocks), 22), np.uint8)
    packed[:, :2] = scale.astype("<f2").view(np.uint8).reshape(-1, 2)
    packed[:, 2:6] = fifth.view(np.uint8).reshape(-1, 4)
    packed[:, 6:] = low
    return packed.tobytes()


def tensors(parameters, tokens, shape):
    """(name, array) of everything that whisper.cpp expects."""
    for name, value in parameters.items():
        if name.startswith("phoneme_head"):
            continue
        if name == "decoder.token_embedding.weight":
            rows = np.zeros((vocabulary.SIZE, shape.width), np.float32)
            rows[:, 0] = NEVER
            rows[tokens] = value
            value = rows
        elif name in ("encoder.conv1.bias", "encoder.conv2.bias"):
            value = value[:, None]
        elif name in ("decoder.ln.weight", "decoder.ln.bias"):
            value = value.copy()
            value[0] = 0 if name.endswith("weight") else 1
        yield name, value
    yield "encoder.positional_embedding", model.sinusoids(model.AUDIO_CONTEXT, shape.width)


def tensor_type(name, value):
    if value.ndim == 3:
        return F16
    kept = value.ndim < 2 or name.endswith(("positional_embedding", ".bias"))
    return F32 if kept else Q5_0


def export(source, target):
    parameters, tokens, shape, seen = checkpoint.load(source)
    with open(target, "wb") as file:
        def integers(*values):
            file.write(struct.pack(f"<{len(values)}i", *values))

        integers(MAGIC, vocabulary.SIZE, model.AUDIO_CONTEXT, shape.width, shape.heads, shape.encoder_layers,
                 model.TEXT_CONTEXT, shape.width, shape.heads, shape.decoder_layers, model.MEL_BANDS,
                 MOSTLY_Q5_0 + 1000 * QUANTISATION_VERSION)
        integers(*MEL_FILTERS.shape)
        file.write(MEL_FILTERS.tobytes())
        integers(len(vocabulary.RANKS))
        for token, _ in sorted(vocabulary.RANKS.items(), key=lambda item: item[1]):
            integers(len(token))
            file.write(token)
        for name, value in tensors(parameters, tokens, shape):
            kind = tensor_type(name, value)
            integers(value.ndim, len(name), kind, *value.shape[::-1])
            file.write(name.encode())
            if kind == Q5_0:
                file.write(q5_0(value))
            else:
                file.write(np.ascontiguousarray(value, {F32: "<f4", F16: "<f2"}[kind]).tobytes())
    print(f"{target}: {target.stat().st_size} bytes, after {seen} utterances")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    export(Path(sys.argv[1]), Path(sys.argv[2]))
