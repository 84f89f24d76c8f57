"""Python's, NumPy's and torch's global generators, borrowed for code that draws from them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from optbench.data.hashing import mix64


@contextmanager
def borrowed() -> Iterator[Callable[[], bool]]:
    """Put the generators back after the block to where they stood before.

    What it gives says whether they have moved since then.
    """
    numpys: Any = np.random.get_state(legacy=True)
    kept = random.getstate(), numpys, torch.get_rng_state()

    def moved() -> bool:
        now: Any = np.random.get_state(legacy=True)
        return (
            random.getstate() != kept[0]
            or now[2:] != numpys[2:]
            or not np.array_equal(now[1], numpys[1])
            or not torch.equal(torch.get_rng_state(), kept[2])
        )

    try:
        yield moved
    finally:
        random.setstate(kept[0])
        np.random.set_state(kept[1])
        torch.set_rng_state(kept[2])


def seed(*words: int) -> None:
    """Seed the generators, but not a GPU's: their draws are a pure function of the words."""
    word = mix64(*words) >> 1
    random.seed(word)
    np.random.seed(word % 2**32)
    torch.default_generator.manual_seed(word)
