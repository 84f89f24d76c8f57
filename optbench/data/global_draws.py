"""Python's, NumPy's and torch's global generators, borrowed for code that draws from them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from optbench.data.hashing import mix64


@contextmanager
def borrowed() -> Iterator[None]:
    """After the block the generators stand where they stood before."""
    kept = random.getstate(), np.random.get_state(legacy=True), torch.get_rng_state()
    try:
        yield
    finally:
        random.setstate(kept[0])
        np.random.set_state(kept[1])
        torch.set_rng_state(kept[2])


def seed(*words: int) -> None:
    """Seeds them, a GPU's left alone: what they then draw is a pure function of the words."""
    word = mix64(*words) >> 1
    random.seed(word)
    np.random.seed(word % 2**32)
    torch.default_generator.manual_seed(word)
