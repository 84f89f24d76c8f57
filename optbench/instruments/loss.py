"""The mean loss of many examples, which landscapes are of: how it is said, why there is none."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import get_args

from optbench.errors import UserError
from optbench.instruments.look import CHUNK, Look, Mode, Split
from optbench.torch_internals import BatchNormBase
from optbench.training.batches import StepBatch
from optbench.training.objective import Objective


@dataclass(frozen=True)
class Loss:
    """The mean loss of many examples, as a function of the parameters.

    Attributes:
        examples: how many, evenly spread over the split; None is all.
        split: `train` or `val`.
        mode: of the modules: `eval`, or `train`, in which batch norm takes each chunk's own
            statistics and dropout one draw.
        chunk: examples in a forward pass.

    Raises:
        ValueError: a value that is none of these.
    """

    examples: int | None
    split: Split = "train"
    mode: Mode = "eval"
    chunk: int = CHUNK

    def __post_init__(self) -> None:
        if self.examples is not None:
            at_least("examples", self.examples, 1)
        at_least("chunk", self.chunk, 1)
        one_of("split", self.split, get_args(Split))
        one_of("mode", self.mode, get_args(Mode))

    def lacking(self, look: Look) -> str | None:
        """Return why there is no such loss, in a line; None where there is."""
        if len(look.players) > 1:
            names = " and ".join(look.players)
            return (
                f"a run of {len(look.players)} players ({names}): neither's loss is its own alone"
            )
        if look.trainer.state.task.carries:
            return "task.carry=true: examples in no order have no state to begin with"
        if not look.parameters:
            return "no parameter is trained"
        if not all(each.is_floating_point() for each in look.parameters):
            return "parameters that are not real numbers"
        try:
            look.size(self.split)
        except UserError as error:
            return str(error)
        return None

    def objective(self, look: Look) -> AbstractContextManager[Objective]:
        """Give it in a block."""
        return look.objective(self.examples, self.split, self.mode, self.chunk)

    def batch(self, look: Look) -> StepBatch:
        """Return its examples."""
        return look.batch(self.examples, self.split, self.chunk)

    def of(self, look: Look) -> str:
        """Return which examples it is of."""
        there = look.size(self.split)
        some = there if self.examples is None else min(self.examples, there)
        name = "training" if self.split == "train" else "validation"
        which = f"all {there:,}" if some == there else f"{some:,} of {there:,}"
        return f"the mean loss of {which} {name} examples, not augmented"

    def normalises(self, look: Look) -> bool:
        """Return whether running statistics of batch norm are in it."""
        return self.mode == "eval" and has_batch_norm(look)

    def notes(self, look: Look, step: int | None = None) -> list[str]:
        """Return what is to be said where parameters are moved: of batch norm and dropout.

        Args:
            look: at the run.
            step: whose running statistics it has; None is the point's.
        """
        since = look.step if step is None else step
        if self.normalises(look):
            return [
                f"batch norm has its running statistics of step {since} everywhere, which are not "
                "those of the moved parameters"
            ]
        if self.mode == "train":
            return [
                f"mode=train: dropout has one draw, batch norm the statistics of {self.chunk} "
                "examples at most"
            ]
        return []


def has_batch_norm(look: Look) -> bool:
    """Return whether the module has a batch norm that keeps statistics."""
    parts = look.module.modules()
    return any(isinstance(part, BatchNormBase) and part.track_running_stats for part in parts)


def at_least(name: str, value: object, least: int) -> None:
    """Raise ValueError for something else than a whole number of at least so much."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name}={value}: expected a whole number of at least {least}")


def above_zero(name: str, value: object) -> None:
    """Raise ValueError for something else than a finite number above 0."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 < value < float("inf"):  # type: ignore[operator]
        raise ValueError(f"{name}={value}: expected a number above 0")


def one_of(name: str, value: object, words: tuple[str, ...]) -> None:
    """Raise ValueError for another word than these."""
    if value not in words:
        raise ValueError(f"{name}={value}: expected {' or '.join(words)}")
