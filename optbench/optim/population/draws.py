"""Random numbers of a generation, which follow from the seed and the step alone."""

from __future__ import annotations

import torch
from torch import Tensor

_WORD = 2**64 - 1


def generator_of(device: torch.device, seed: int, *place: int) -> torch.Generator:
    """Return a generator that draws the same at the same place, on all ranks and in a resumed run.

    Args:
        device: that it draws on.
        seed: of the run.
        place: such as the step.
    """
    word = seed
    for number in place:
        word = _mixed(word ^ _mixed(number + 1))
    return torch.Generator(device).manual_seed(word >> 1)


def normal(generator: torch.Generator, *shape: int, dtype: torch.dtype) -> Tensor:
    """Return standard normal numbers."""
    return torch.randn(shape, generator=generator, dtype=dtype, device=generator.device)


def uniform(generator: torch.Generator, *shape: int, dtype: torch.dtype) -> Tensor:
    """Return numbers in [0, 1)."""
    return torch.rand(shape, generator=generator, dtype=dtype, device=generator.device)


def _mixed(word: int) -> int:
    """Return splitmix64's next number (Steele et al. 2014)."""
    word = (word + 0x9E3779B97F4A7C15) & _WORD
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & _WORD
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & _WORD
    return word ^ (word >> 31)
