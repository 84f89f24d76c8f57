"""What keeps account of scores: the best step, early stopping, the target."""

from __future__ import annotations

from optbench.assemble.metric_checks import mode_of
from optbench.config.run_config import RunConfig
from optbench.tasks.base import Task
from optbench.training.settings import EvaluationSet
from optbench.training.trackers import BestTracker, TargetTracker


def best(config: RunConfig, task: Task, validation: EvaluationSet | None) -> BestTracker:
    """Return what finds the best step; without a validation set it never does."""
    metric = config.checkpoint.best
    if metric == "auto" or metric is None:
        metric = task.metric
    mode = mode_of(config.checkpoint.best_mode, metric, task)
    return BestTracker(metric if validation else None, mode)


def stopping(config: RunConfig, task: Task) -> BestTracker:
    """Return what knows how long early stopping has seen nothing better."""
    said = config.early_stopping
    return BestTracker(said.metric, mode_of(said.mode, said.metric, task), said.min_delta)


def target(config: RunConfig, task: Task) -> TargetTracker:
    """Return what notes when the target is reached."""
    said = config.target
    if said.metric is None or said.value is None:
        return TargetTracker()
    return TargetTracker(said.metric, said.value, mode_of(said.mode, said.metric, task))
