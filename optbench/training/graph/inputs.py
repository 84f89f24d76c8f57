"""A step's examples at places in memory that stay."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

from optbench.training.batches import MicroBatch, StepBatch

Kind = tuple[Any, ...]


def kind_of(work: StepBatch) -> Kind:
    """Return what two steps have in common that differ in nothing but their numbers."""
    return tuple((micro.weight, _kind(micro.batch)) for micro in work.micros)


class Inputs:
    """Copies of a step's micro-batches, into which those of other steps of its kind are written.

    Args:
        work: the step; its micro-batches are at hand.
    """

    def __init__(self, work: StepBatch) -> None:
        micros = [MicroBatch(_copied(micro.batch), micro.weight) for micro in work.micros]
        self.work = work._replace(micros=micros)
        self._tensors = list(_tensors(micros))

    def fill(self, work: StepBatch) -> None:
        """Take in another step's examples."""
        for place, tensor in zip(self._tensors, _tensors(work.micros), strict=True):
            place.copy_(tensor, non_blocking=True)


def _kind(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.shape, value.stride(), value.dtype, value.device
    if isinstance(value, Mapping):
        return tuple((key, _kind(part)) for key, part in value.items())
    if isinstance(value, tuple | list):
        return type(value), tuple(map(_kind, value))
    return value


def _copied(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.clone()
    if isinstance(value, Mapping):
        return {key: _copied(part) for key, part in value.items()}
    if isinstance(value, tuple | list):
        parts = [_copied(part) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    return value


def _tensors(value: Any) -> Iterator[Tensor]:
    """Yield the tensors of a batch, in the order of its parts."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping | tuple | list):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from _tensors(part)
