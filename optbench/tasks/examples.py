"""What the examples of a batch are, for tasks that want something else."""

from __future__ import annotations

from typing import Any

from torch import Tensor


def are_pairs(batch: Any) -> bool:
    """Return whether a batch is of two parts, whatever inputs are, and targets are a tensor."""
    pair = isinstance(batch, tuple | list) and len(batch) == 2
    return pair and isinstance(batch[1], Tensor) and batch[1].ndim > 0


def is_whole(tensor: Tensor) -> bool:
    """Return whether a tensor is of whole numbers."""
    return not (tensor.is_floating_point() or tensor.is_complex())


def labels_wanted(batch: Any, classes: int) -> str | None:
    """Return what an example has to be where a batch has no labels, None where it has."""
    top = f"{classes - 1}" if classes > 1 else "the number of classes less one"
    wanted = f"(inputs, label), the label a whole number from 0 to {top}"
    if not are_pairs(batch):
        return wanted
    labels = batch[1]
    if not is_whole(labels):
        return None  # told with the task that takes them
    if labels.ndim != 1:
        return wanted
    numbers = [int(label) for label in labels.tolist()]  # of some dtypes torch has no minimum
    low, high = min(numbers, default=0), max(numbers, default=0)
    if low < 0 or (classes > 1 and high >= classes):
        return f"{wanted}; there is a label {low if low < 0 else high}"
    return None


def tokens_wanted(batch: Any, targets: str) -> str | None:
    """Return what an example has to be where a batch has no tokens, None where it has.

    Args:
        targets: what the second part of an example is.
    """
    if are_pairs(batch) and all(
        isinstance(part, Tensor) and part.ndim == 2 and is_whole(part) for part in batch
    ):
        return None
    return f"(tokens, {targets}), two sequences of whole numbers"
