"""The state of every random generator of a process, as plain data."""

from __future__ import annotations

import random
import struct
from typing import Any, NamedTuple, cast

import numpy as np
import torch

from optbench.data.hashing import mix64

_WORDS = struct.Struct(">625I")
"""The state of Python's generator: 624 numbers, and how many of them are used."""


def seed_everything(seed: int, rank: int = 0) -> None:
    """Seed Python, NumPy and torch. Equal ranks get equal numbers, different ones different."""
    word = seed if rank == 0 else mix64(seed, rank) >> 1
    random.seed(word)
    np.random.seed(word % 2**32)
    if torch.accelerator.is_available():
        torch.manual_seed(word)
    else:  # which keeps each call, with its stack, for a GPU that is not there
        torch.default_generator.manual_seed(word)


class Generators(NamedTuple):
    """The states of torch's generators: the CPU's, and a GPU's if the run is on one."""

    cpu: torch.Tensor
    cuda: torch.Tensor | None
    device: torch.device


def generators(device: torch.device) -> Generators:
    """Return where torch's generators stand now."""
    cuda = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
    return Generators(torch.get_rng_state(), cuda, device)


def set_generators(state: Generators) -> None:
    """Go on from `generators()`."""
    torch.set_rng_state(state.cpu)
    if state.cuda is not None:
        torch.cuda.set_rng_state(state.cuda, state.device)


def same(one: Generators, other: Generators) -> bool:
    """Return whether the generators stand where the others do."""
    if one.cuda is not None and other.cuda is not None and not torch.equal(one.cuda, other.cuda):
        return False
    return torch.equal(one.cpu, other.cpu)


def capture() -> dict[str, Any]:
    """Return the states, for `torch.load(weights_only=True)` to read."""
    version, words, gauss = random.getstate()
    name, keys, position, has_gauss, cached = cast(Any, np.random.get_state(legacy=True))
    return {
        "python": [version, _WORDS.pack(*words).hex(), gauss],
        "numpy": [name, torch.from_numpy(keys.astype(np.int64)), position, has_gauss, cached],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state() if torch.cuda.is_initialized() else None,
    }


def restore(state: dict[str, Any]) -> None:
    """Go on from `capture()`."""
    version, words, gauss = state["python"]
    if isinstance(words, str):  # older checkpoints have a list, of which each number takes time
        packed = bytes.fromhex(words)
        if len(packed) != _WORDS.size:
            raise ValueError("the state of Python's random generator has another length")
        words = _WORDS.unpack(packed)
    random.setstate((version, tuple(words), gauss))
    name, keys, position, has_gauss, cached = state["numpy"]
    keys = keys.numpy().astype(np.uint32)
    np.random.set_state((name, keys, position, has_gauss, cached))
    torch.set_rng_state(state["torch"])
    if state["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])
