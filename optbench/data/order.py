"""Which examples come when: epoch orders, the validation split, shares of a batch."""

from __future__ import annotations

import torch
from torch import Tensor

from optbench.data.hashing import mix64
from optbench.data.permutation import permuted

# One tag for each purpose, so that equal seeds never give related draws.
_ORDER, _AUGMENT, _VALIDATION = 1, 2, 3


def epoch_order(indices: Tensor, seed: int, epoch: int, shuffle: str = "epoch") -> Tensor:
    """Return the int64 [n] indices in the order of an epoch: a pure function of the arguments.

    Torch's global generator is left alone.

    Args:
        shuffle: `epoch` permutes anew for each epoch, `once` with the first epoch's permutation in
            all of them, `none` not at all: what Mishchenko, Khaled and Richtarik 2020 call random
            reshuffling, shuffle-once and incremental gradient.
    """
    if shuffle == "none":
        return indices
    epoch = 0 if shuffle == "once" else epoch
    return indices[_permutation(len(indices), mix64(_ORDER, seed, epoch))]


def part_of_order(
    size: int, places: Tensor, seed: int, epoch: int, shuffle: str = "epoch"
) -> Tensor:
    """Return the examples at some places of an epoch's order of 0..size-1, of very many.

    Another order than `epoch_order`'s, which would have to be stored.

    Args:
        places: int64 [n], in [0, size).
        shuffle: as in `epoch_order`.
    """
    if shuffle == "none":
        return places
    return permuted(places, size, mix64(_ORDER, seed, 0 if shuffle == "once" else epoch))


def epoch_key(seed: int, epoch: int) -> int:
    """Return the augmentation key of an epoch, in [0, 2^63): a pure function of (seed, epoch)."""
    return mix64(_AUGMENT, seed, epoch) >> 1


def split_validation(size: int, fraction: float, seed: int) -> tuple[Tensor, Tensor]:
    """Return (train, validation), the examples 0..size-1 parted at random: int64, ascending.

    Validation gets round(size * fraction) of them, none with fraction 0. They are a pure function
    of the arguments.

    Raises:
        ValueError: fraction is outside [0, 1) or leaves nothing to train on.
    """
    count = round(size * fraction) if 0 <= fraction < 1 else size
    if count >= size:
        raise ValueError(
            f"fraction={fraction} of {size} examples leaves none to train on:"
            " it must be at least 0 and less than 1"
        )
    shuffled = _permutation(size, mix64(_VALIDATION, seed))
    return shuffled[count:].sort().values, shuffled[:count].sort().values


def split_fold(size: int, fold: int, folds: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return (train, validation) of k-fold cross-validation: int64, ascending.

    The validation sets of all folds are disjoint and together all examples; they differ in length
    by at most 1, and are a pure function of the arguments.

    Args:
        size: examples.
        fold: which one, from 0.
        folds: how many, from 2 to `size`.
        seed: of the order that is cut.
    """
    shuffled = _permutation(size, mix64(_VALIDATION, seed))
    start, stop = share(size, folds, fold)
    train = torch.cat((shuffled[:start], shuffled[stop:]))
    return train.sort().values, shuffled[start:stop].sort().values


def share(count: int, parts: int, part: int) -> tuple[int, int]:
    """Return (start, stop) of share number `part` (from 0) when `count` items are cut into `parts`.

    The shares are contiguous, cover everything, and differ in length by at most 1; some are empty
    when count < parts.
    """
    return part * count // parts, (part + 1) * count // parts


def _permutation(size: int, word: int) -> Tensor:
    generator = torch.Generator().manual_seed(word >> 1)
    return torch.randperm(size, generator=generator)
