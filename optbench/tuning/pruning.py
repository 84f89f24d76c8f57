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
    from optbench.training.trainer import Trainer

PRUNED = "pruned"
"""How the message of a run begins that was given up."""


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

    def on_evaluation(self, trainer: Trainer, step: int, metrics: Mapping[str, float]) -> None:
        """Report; ask to stop where others were better."""
        every, total = trainer.settings.cadence.evaluate, trainer.settings.total_steps
        value = metrics.get(self.metric)
        if value is None or not every or step >= total:
            return
        if not math.isfinite(value):
            value = math.inf if self.mode == "min" else -math.inf
        study = opened(self.journal, self.mode)
        study.pruner = make_pruner(self.pruner, -(-total // every))
        trial = asked_trial(study, self.trial)
        at = step // every
        if at not in study.trials[self.trial].intermediate_values:  # before it was killed
            trial.report(value, at)
        if trial.should_prune():
            trainer.request_stop(f"{PRUNED}: others had better {self.metric} at step {step}")
