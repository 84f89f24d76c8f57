"""Who is told as a training goes on, and may look at it or ask it to stop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from optbench.errors import UserError

if TYPE_CHECKING:
    from optbench.training.trainer import Trainer


class Callback:
    """Base of callbacks: override what you want to be told of.

    A callback may read whatever the trainer has and call `Trainer.request_stop`. It must leave the
    players, and the random generators, as they are, unless it means to change the run: then a
    resumed run knows nothing of the change but what a checkpoint holds. On several ranks each one's
    callbacks are told. What a callback raises ends the run as failed.

    Example:
        >>> class StopBelow(Callback):
        ...     def on_evaluation(self, trainer, step, metrics):
        ...         if metrics["val/loss"] < 0.1:
        ...             trainer.request_stop("good enough")
    """

    every: int = 0
    """`on_due` is called after each so many steps; 0 is never."""

    def on_start(self, trainer: Trainer) -> None:
        """Act before the first step, of a run that is gone on with too: `trainer.progress.step`."""

    def on_step_end(self, trainer: Trainer, step: int) -> None:
        """Act after a step: `step` have been taken; a batch that was left out counts for none."""

    def on_due(self, trainer: Trainer, step: int) -> None:
        """Act at a step that `every` names, before its evaluation and its checkpoint.

        What it takes is none of the run's training seconds.
        """

    def on_evaluation(self, trainer: Trainer, step: int, metrics: Mapping[str, float]) -> None:
        """Act after the validation set was scored; `metrics` by tag, such as `val/loss`."""

    def on_checkpoint(self, trainer: Trainer, step: int) -> None:
        """Act after a checkpoint was saved; one that is written in the background may not be yet.

        A step that is scored after it was saved is saved once more.
        """


def overrides_step_end(callback: Callback) -> bool:
    """Return whether a callback wants to be told of every step; most do not, and cost nothing."""
    return type(callback).on_step_end is not Callback.on_step_end


def tell_due(callbacks: Sequence[Callback], trainer: Trainer) -> None:
    """Tell those that a step is due for, of callbacks that are told every so many."""
    step = trainer.progress.step
    for callback in callbacks:
        if step % callback.every == 0:
            callback.on_due(trainer, step)


def check_callbacks(callbacks: Sequence[Callback]) -> None:
    """Raise UserError for what is no list of callbacks, and for one that is never called."""
    given = callbacks if isinstance(callbacks, Sequence) else [callbacks]
    for each in given:
        if not isinstance(each, Callback) or given is not callbacks:
            raise UserError(
                f"callbacks={callbacks!r:.80}: expected a list of optbench.Callback's, "
                "such as [StopBelow()]"
            )
        if type(each.every) is not int or each.every < 0:
            raise UserError(
                f"callbacks: {type(each).__name__}.every={each.every!r:.40}: expected a whole "
                "number of steps, after each so many of which on_due is called; 0 is never"
            )
        there = [name for name in dir(Callback) if name.startswith("on_")]
        for name in dir(type(each)):
            if name.startswith("on_") and name not in there:
                raise UserError(
                    f"callbacks: {type(each).__name__}.{name} is never called; "
                    f"there is {', '.join(there)}"
                )
