"""Giving a run up that does worse than others did at the same evaluation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from optbench.training.callback import Callback
from optbench.tuning.samplers import make_pruner
from optbench.tuning.storage import asked_trial, opened

if TYPE_CHECKING:
    from optuna.trial import Trial

    from optbench.training.trainer import Trainer

PRUNED = "pruned"
"""How the message of a run begins that was given up."""

GIVEN_UP = "given up"
"""What is kept with a trial: the step after which it is to end."""


class Pruning(Callback):
    """Reports each evaluation to the study, and asks the run to stop if its pruner says so.

    It travels to the process that does the run, and opens the study's journal there.

    Args:
        journal: the study's.
        trial: its number in the study.
        pruner: of `samplers.PRUNERS`.
        metric: such as `val/accuracy`.
        mode: `min` or `max`.
    """

    def __init__(self, journal: Path, trial: int, pruner: str, metric: str, mode: str) -> None:
        self.journal, self.trial, self.pruner = journal, trial, pruner
        self.metric, self.mode = metric, mode

    def on_start(self, trainer: Trainer) -> None:
        """Stop a run that was killed after it was given up, before it had ended."""
        trial = self._trial()
        given_up = trial.user_attrs.get(GIVEN_UP)
        if given_up is not None and trainer.progress.step >= given_up:
            self._stop(trainer, given_up)

    def on_evaluation(self, trainer: Trainer, step: int, metrics: Mapping[str, float]) -> None:
        """Report; ask to stop where others were better."""
        every, total = trainer.settings.cadence.evaluate, trainer.settings.total_steps
        value = metrics.get(self.metric)
        if value is None or not every or step >= total:
            return
        if not math.isfinite(value):
            value = math.inf if self.mode == "min" else -math.inf
        trial = self._trial()
        trial.study.pruner = make_pruner(self.pruner, -(-total // every))
        at = step // every
        if at not in trial.study.trials[self.trial].intermediate_values:  # before it was killed
            trial.report(value, at)
        if trial.user_attrs.get(GIVEN_UP) != step and not trial.should_prune():
            return
        trial.set_user_attr(GIVEN_UP, step)
        self._stop(trainer, step)

    def _trial(self) -> Trial:
        return asked_trial(opened(self.journal, self.mode), self.trial)

    def _stop(self, trainer: Trainer, step: int) -> None:
        trainer.request_stop(f"{PRUNED}: others had better {self.metric} at step {step}")
