"""A rule's numbers in tensors that stay where they are, for an update that is noted once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from optbench.optim.engine.compiled import Settings, split


@dataclass
class HeldUpdate:
    """An update of some parameters of a group.

    Attributes:
        group: the optimizer's.
        batch: of parameters, with the number of the update.
        counts: the `step` of each of them.
        decay: how weight decay enters.
        settings: all hyperparameters but the numbers, which are no part of what is noted.
        numbers: these, in a tensor.
        hp: the hyperparameters, with parts of that tensor for numbers.
    """

    group: Mapping[str, Any]
    batch: Any
    counts: list[Tensor]
    decay: str
    settings: Settings
    numbers: Tensor
    hp: Any

    def fits(self, settings: Settings, decay: str) -> bool:
        """Return whether another update is this one with other numbers."""
        return self.settings == settings and self.decay == decay

    def fill(self, numbers: Tensor) -> None:
        """Have the update go by these numbers."""
        # From memory that is not pinned: CUDA takes it at once, and nobody waits.
        self.numbers.copy_(numbers, non_blocking=True)


class HeldNumbers:
    """The updates of an optimizer's step, in their order, each with its numbers in a tensor.

    A kernel that is given a number has it for ever when it is noted in a CUDA graph; one that is
    given a tensor looks there each time. So an update whose numbers are held is the same operations
    at the same places in each step, and the host writes what changes before each.

    Attributes:
        updates: as the last step took them.
        repeating: the step is being noted: it takes the updates as they are, and counts nothing.
        coming: of the next step, the batches and numbers of its updates.
    """

    def __init__(self) -> None:
        self.updates: list[HeldUpdate] = []
        self.repeating = False
        self.coming: list[tuple[Any, Tensor]] = []

    def put(self, found: Sequence[HeldUpdate]) -> None:
        """Take a step's updates in; of those that were there already the tensors stay."""
        kept = []
        for place, now in enumerate(found):
            held = self.updates[place] if place < len(self.updates) else None
            if held is not None and _at_same_place(held, now):
                held.fill(now.numbers)
                now.numbers, now.hp = held.numbers, held.hp
            kept.append(now)
        self.updates = kept

    def advance(self) -> None:
        """Count the next step's updates, and put their numbers where they find them."""
        for update, (batch, numbers) in zip(self.updates, self.coming, strict=True):
            update.batch = batch
            update.fill(numbers)
            torch._foreach_add_(update.counts, 1)


def held_update(
    group: Mapping[str, Any], batch: Any, decay: str, hp: Any, counts: list[Tensor]
) -> HeldUpdate:
    """Return an update with its numbers in a tensor beside its parameters, in their precision."""
    parameter = batch.slots[0].parameter
    numbers, settings = split(hp, precision_of(parameter))
    numbers = numbers.to(parameter.device, non_blocking=True)
    filled = settings.filled(numbers)
    return HeldUpdate(group, batch, counts, decay, settings, numbers, filled)


def precision_of(parameter: Tensor) -> torch.dtype:
    """Return the dtype that a parameter is computed with in."""
    return torch.promote_types(parameter.dtype, torch.float32)


def _at_same_place(held: HeldUpdate, now: HeldUpdate) -> bool:
    same = held.numbers.device == now.numbers.device and held.numbers.dtype == now.numbers.dtype
    return same and held.fits(now.settings, now.decay)
