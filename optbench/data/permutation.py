"""The order of very many examples: computed where it is asked for, and never stored."""

from __future__ import annotations

import torch
from torch import Tensor

from optbench.data.augment import uniform_ints
from optbench.data.hashing import mix64

LARGE = 1 << 24
"""Examples above which no list of them is kept: one of these has 128 MiB."""
ROUNDS = 6


class Span:
    """The numbers from 0 to `size` - 1, as int64 tensors of those that are asked for.

    Stands where a tensor of indices would be too large. Slices have step 1.
    """

    def __init__(self, size: int) -> None:
        self.size = size

    def __len__(self) -> int:
        """Return how many there are."""
        return self.size

    def __getitem__(self, which: slice | Tensor) -> Tensor:
        """Return the numbers at some places, which are the places."""
        if isinstance(which, Tensor):
            return which
        start, stop, _ = which.indices(self.size)
        return torch.arange(start, stop)


Indices = Tensor | Span
"""Example numbers, int64."""


def all_of(size: int) -> Indices:
    """Return the indices of all examples of a set."""
    return Span(size) if size > LARGE else torch.arange(size)


def permuted(places: Tensor, size: int, word: int) -> Tensor:
    """Return what stands at some places of a permutation of 0..size-1, each a pure function.

    A Feistel network of `ROUNDS` rounds on the next power of 4 (Luby and Rackoff, "How to construct
    pseudorandom permutations from pseudorandom functions", SIAM J. Comput. 17, 1988), applied until
    the result is below `size` (cycle walking: Black and Rogaway, "Ciphers with arbitrary finite
    domains", CT-RSA 2002).

    Args:
        places: int64 [n], in [0, size).
        size: of the whole, at most 2^62.
        word: which permutation.
    """
    half = max((size - 1).bit_length() + 1, 2) // 2
    keys = [mix64(word, number) for number in range(ROUNDS)]
    found = _network(places, half, keys)
    outside = (found >= size).nonzero().flatten()
    while len(outside):
        walked = _network(found[outside], half, keys)
        found[outside] = walked
        outside = outside[walked >= size]
    return found


def _network(values: Tensor, half: int, keys: list[int]) -> Tensor:
    mask = (1 << half) - 1
    left, right = values >> half, values & mask
    for key in keys:
        drawn = uniform_ints(key, right, (mask + 1,))[:, 0]
        left, right = right, left ^ drawn
    return left << half | right
