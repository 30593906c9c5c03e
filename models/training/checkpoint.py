"""A checkpoint: parameters, the tokens in use and the shape, in one .npz file."""
import dataclasses
import json

import numpy as np

from model import Shape


def save(path, parameters, tokens, shape, seen, dtype=np.float32):
    """`seen`: how many utterances the parameters have learnt from, in all runs."""
    about = json.dumps({"shape": dataclasses.asdict(shape), "tokens": [int(t) for t in tokens], "seen": int(seen)})
    arrays = {name: np.asarray(value, dtype) for name, value in parameters.items()}
    with open(path.with_suffix(".tmp"), "wb") as file:
        np.savez_compressed(file, about=about, **arrays)
    path.with_suffix(".tmp").rename(path)


def load(path):
    """(parameters as float32, tokens, shape, seen)"""
    with np.load(path) as file:
        about = json.loads(str(file["about"]))
        parameters = {name: file[name].astype(np.float32) for name in file.files if name != "about"}
    return parameters, about["tokens"], Shape(**about["shape"]), about["seen"]
