"""Whisper's architecture in JAX, small, and the losses it is trained with.

Parameters are one flat dictionary with the names and shapes of Whisper's own tensors, so that export is a loop.
A linear layer's weight is [out, in], a convolution's [out, in, 3]. `phoneme_head` exists for training alone.
"""
import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

MEL_BANDS = 80
AUDIO_CONTEXT = 1_500
TEXT_CONTEXT = 128


@dataclasses.dataclass(frozen=True)
class Shape:
    width: int = 128
    heads: int = 4
    encoder_layers: int = 4
    decoder_layers: int = 2


def sinusoids(positions, width):
    scale = np.exp(-np.log(10_000) / (width // 2 - 1) * np.arange(width // 2))
    angle = np.arange(positions)[:, None] * scale[None]
    return np.concatenate([np.sin(angle), np.cos(angle)], 1).astype(np.float32)


def initial(shape, vocabulary, phonemes, seed=0):
    """Random parameters. The token embedding has a row for each used token, not for Whisper's whole vocabulary."""
    r, d, p = np.random.default_rng(seed), shape.width, {}

    def weight(name, *dims, fan_in, gain=1.0):
        p[name + ".weight"] = (r.standard_normal(dims) * gain / np.sqrt(fan_in)).astype(np.float32)

    def linear(name, inputs, outputs, bias=True, gain=1.0):
        weight(name, outputs, inputs, fan_in=inputs, gain=gain)
        if bias:
            p[name + ".bias"] = np.zeros(outputs, np.float32)

    def layer_norm(name):
        p[name + ".weight"], p[name + ".bias"] = np.ones(d, np.float32), np.zeros(d, np.float32)

    residual = 1 / np.sqrt(2 * max(shape.encoder_layers, shape.decoder_layers))

    def attention(name):
        layer_norm(name + "_ln")
        linear(name + ".query", d, d)
        linear(name + ".key", d, d, bias=False)
        linear(name + ".value", d, d)
        linear(name + ".out", d, d, gain=residual)

    def feed_forward(name):
        layer_norm(name + "_ln")
        linear(name + ".0", d, 4 * d)
        linear(name + ".2", 4 * d, d, gain=residual)

    for name, inputs in (("encoder.conv1", MEL_BANDS), ("encoder.conv2", d)):
        weight(name, d, inputs, 3, fan_in=3 * inputs)
        p[name + ".bias"] = np.zeros(d, np.float32)
    for i in range(shape.encoder_layers):
        attention(f"encoder.blocks.{i}.attn")
        feed_forward(f"encoder.blocks.{i}.mlp")
    layer_norm("encoder.ln_post")
    for i in range(shape.decoder_layers):
        attention(f"decoder.blocks.{i}.attn")
        attention(f"decoder.blocks.{i}.cross_attn")
        feed_forward(f"decoder.blocks.{i}.mlp")
    layer_norm("decoder.ln")
    p["decoder.token_embedding.weight"] = (r.standard_normal((vocabulary, d)) * .04).astype(np.float32)
    p["decoder.positional_embedding"] = (r.standard_normal((TEXT_CONTEXT, d)) * .02).astype(np.float32)
    linear("phoneme_head", d, phonemes)
    return p


def linear(p, name, x):
    # Two dimensions, not three: XLA's weight gradients on the CPU are 2.5 times faster so.
    y = x.reshape(-1, x.shape[-1]) @ p[name + ".weight"].T
    if name + ".bias" in p:
        y = y + p[name + ".bias"]
    return y.reshape(*x.shape[:-1], -1)


def normalise(x, weight, bias):
    centred = x - x.mean(-1, keepdims=True)
    return centred * jax.lax.rsqrt((centred * centred).mean(-1, keepdims=True) + 1e-5) * weight + bias


def layer_norm(p, name, x):
    return normalise(x, p[name + ".weight"], p[name + ".bias"])


def gelu(x):
    return jax.nn.gelu(x, approximate=True)


def attention(p, name, x, source, heads, causal=False):
    """(output, attention weights [batch, heads, x, source])"""
    batch, length, width = x.shape

    def split(y):
        return y.reshape(batch, -1, heads, width // heads).transpose(0, 2, 1, 3)

    q = split(linear(p, name + ".query", x))
    k, v = split(linear(p, name + ".key", source)), split(linear(p, name + ".value", source))
    scores = q @ k.swapaxes(-1, -2) * (width // heads) ** -.5
    if causal:
        scores = jnp.where(jnp.tril(jnp.ones((length, length), bool)), scores, -1e9)
    weights = jax.nn.softmax(scores, -1)
    mixed = (weights @ v).transpose(0, 2, 1, 3).reshape(batch, length, width)
    return linear(p, name + ".out", mixed), weights


def feed_forward(p, name, x):
    return x + linear(p, name + ".2", gelu(linear(p, name + ".0", layer_norm(p, name + "_ln", x))))


def convolution(p, name, taps):
    """A convolution of width 3, as a product with the three inputs of each output side by side."""
    w = p[name + ".weight"]
    y = taps.reshape(-1, taps.shape[-1]) @ w.transpose(2, 1, 0).reshape(-1, w.shape[0]) + p[name + ".bias"]
    return gelu(y.reshape(*taps.shape[:-1], -1))


def encode(p, mel, shape):
    """[batch, frames, 80], an even number of frames -> [batch, frames / 2, width]"""
    x = jnp.pad(mel, ((0, 0), (1, 1), (0, 0)))
    x = convolution(p, "encoder.conv1", jnp.concatenate([x[:, :-2], x[:, 1:-1], x[:, 2:]], -1))
    batch, frames, width = x.shape
    pairs = x.reshape(batch, frames // 2, 2 * width)            # stride 2
    before = jnp.pad(pairs[:, :-1, width:], ((0, 0), (1, 0), (0, 0)))
    x = convolution(p, "encoder.conv2", jnp.concatenate([before, pairs], -1))
    x = x + sinusoids(x.shape[1], width)
    for i in range(shape.encoder_layers):
        name = f"encoder.blocks.{i}"
        y = layer_norm(p, name + ".attn_ln", x)
        x = x + attention(p, name + ".attn", y, y, shape.heads)[0]
        x = feed_forward(p, name + ".mlp", x)
    return layer_norm(p, "encoder.ln_post", x)


def last_norm(p):
    """The decoder's last layer norm with dimension 0 made the constant 1.

    A row of the token embedding that is not in use holds a large negative number there, and can never be chosen.
    """
    return p["decoder.ln.weight"].at[0].set(0.), p["decoder.ln.bias"].at[0].set(1.)


def decode(p, encoded, tokens, shape):
    """(logits [batch, length, vocabulary], cross-attention weights of the last layer)"""
    x = p["decoder.token_embedding.weight"][tokens] + p["decoder.positional_embedding"][:tokens.shape[1]]
    for i in range(shape.decoder_layers):
        name = f"decoder.blocks.{i}"
        y = layer_norm(p, name + ".attn_ln", x)
        x = x + attention(p, name + ".attn", y, y, shape.heads, causal=True)[0]
        y, weights = attention(p, name + ".cross_attn", layer_norm(p, name + ".cross_attn_ln", x), encoded, shape.heads)
        x = feed_forward(p, name + ".mlp", x + y)
    return normalise(x, *last_norm(p)) @ p["decoder.token_embedding.weight"].T, weights


def losses(p, batch, shape, smoothing=.05, phoneme_share=1.0, alignment_share=.3):
    """The loss, and its parts: token, phoneme and alignment.

    token      cross-entropy of the next token, with label smoothing; the first, the language, counts twice
    phoneme    cross-entropy of the phoneme at each encoder position, where its time is known
    alignment  how much of two cross-attention heads falls outside the word being written, where its time is known
    """
    encoded = encode(p, batch["mel"], shape)
    logits, weights = decode(p, encoded, batch["tokens"], shape)
    log_p = jax.nn.log_softmax(logits, -1)
    known = (batch["targets"] >= 0).astype(jnp.float32).at[:, 0].multiply(2.)
    nll = -jnp.take_along_axis(log_p, jnp.maximum(batch["targets"], 0)[..., None], -1)[..., 0]
    token = (nll * known).sum() / known.sum()
    smooth = (-log_p.mean(-1) * known).sum() / known.sum()

    log_p = jax.nn.log_softmax(linear(p, "phoneme_head", encoded), -1)
    known = batch["phonemes"] >= 0
    nll = -jnp.take_along_axis(log_p, jnp.maximum(batch["phonemes"], 0)[..., None], -1)[..., 0]
    phoneme = (nll * known).sum() / jnp.maximum(known.sum(), 1)

    position = jnp.arange(encoded.shape[1])[None, None]
    within = (position >= batch["word_start"][..., None]) & (position < batch["word_end"][..., None])
    mass = (weights[:, :2] * within[:, None]).sum(-1)
    known = (batch["word_end"] > 0)[:, None]
    alignment = -(jnp.log(mass + 1e-4) * known).sum() / jnp.maximum(2 * known.sum(), 1)

    loss = (1 - smoothing) * token + smoothing * smooth + phoneme_share * phoneme + alignment_share * alignment
    return loss, (token, phoneme, alignment)
