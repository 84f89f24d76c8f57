"""Where a run is: the step, the epoch, the batch."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

GRADIENT, LOSS, PRODUCT, DRAWN = 3, 1, 6, 2
"""Thirds of a forward-backward pass: the loss with its gradients; the loss alone, for a backward
pass costs about two forward ones; a product with the Hessian or the Gauss-Newton matrix, about two
gradients (Pearlmutter 1994); a loss with the gradients of layers' outputs, without the weights'."""

LATER = {"thirds": "counted", "counted": "counted", "optimizer_seconds": "timed", "timed": "timed"}
"""What a checkpoint of an older version lacks, with what is then no longer known."""


@dataclass
class Progress:
    """The position of a run; with the seed it says all about which examples come next.

    Attributes:
        step: optimizer steps taken.
        epoch: complete passes over the training set.
        index: batches used of the pass that is under way.
        examples: used in all.
        seconds: spent in training steps, over all parts of an interrupted run.
        skipped: steps that were not taken because gradients were not finite.
        skipped_in_a_row: how many of them were the last ones.
        evaluated: the step of the last evaluation.
        reported: the step of the last `train` record.
        thirds: of forward-backward passes; see `passes`.
        counted: whether they are of the whole run.
        optimizer_seconds: spent in the optimizers' own work, without evaluations they asked for.
        timed: whether these are of the whole run, and of a device that does not run ahead.
    """

    step: int = 0
    epoch: int = 0
    index: int = 0
    examples: int = 0
    seconds: float = 0.0
    skipped: int = 0
    skipped_in_a_row: int = 0
    evaluated: int = 0
    reported: int = 0
    thirds: int = 0
    counted: bool = True
    optimizer_seconds: float = 0.0
    timed: bool = True

    @property
    def passes(self) -> float | None:
        """Forward-backward passes over the examples of a whole step; None where nobody knows."""
        if not self.counted:
            return None
        whole, rest = divmod(self.thirds, GRADIENT)
        return whole if not rest else round(self.thirds / GRADIENT, 6)

    def advance(self, examples: int, steps_per_epoch: int) -> None:
        """Count a batch that was used."""
        self.index += 1
        self.examples += examples
        if self.index == steps_per_epoch:
            self.epoch, self.index = self.epoch + 1, 0

    def state_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return dataclasses.asdict(self)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict()`."""
        for name, fresh in dataclasses.asdict(Progress()).items():
            if name in LATER and name not in state:
                setattr(self, LATER[name], False)
                continue
            value = state[name]
            if type(value) is not type(fresh) or not 0 <= value < 2**63:
                raise ValueError(f"progress.{name} is {value!r:.40}")
            setattr(self, name, value)
