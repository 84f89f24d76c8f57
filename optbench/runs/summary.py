"""What `summary.json` says of a run that has ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from optbench.rundir import FORMAT

if TYPE_CHECKING:
    from optbench.assemble.experiment import Experiment
    from optbench.training.checkpointer import RunState
    from optbench.training.settings import Outcome


def summary(experiment: Experiment, outcome: Outcome, wall_seconds: float) -> dict[str, Any]:
    """Return the whole of it."""
    from optbench.training.efficiency import memory

    state, progress = experiment.state, experiment.state.progress
    speed = progress.examples / progress.seconds if progress.seconds else 0.0
    held = memory(state)
    return {
        "format": FORMAT,
        "state": outcome.state,
        "message": outcome.message,
        "step": progress.step,
        "epoch": progress.epoch + progress.index / experiment.feed.steps_per_epoch,
        "skipped_steps": progress.skipped,
        "scored_weights": outcome.scored,
        "final": outcome.metrics,
        "best": _best(state),
        "target": _target(state),
        "samples": outcome.texts,
        "parameters": experiment.parameters,
        **costs_of(state, held),
        "wall_seconds": wall_seconds,
        "examples_per_second": speed,
        **state.watching.told(progress.seconds),
        **outcome.efficiency,
        "memory_bytes": held,
        "peak_memory_mib": outcome.metrics.get("memory/peak_mib"),
    }


def _best(state: RunState) -> dict[str, Any]:
    """Return metric, mode, value and step of the best evaluation; empty where there is none."""
    best = state.best
    if best.value is None:
        return {}
    return {"metric": best.metric, "mode": best.mode, "value": best.value, "step": best.step}


def _target(state: RunState) -> dict[str, Any]:
    """Return what is good enough and when it was reached; empty where nothing is asked."""
    return {} if state.reached.metric is None else dict(vars(state.reached))


def costs_of(state: RunState, held: Mapping[str, int]) -> dict[str, Any]:
    """Return what the run took (`shapes.COSTS`); None for what nobody knows.

    Args:
        state: of the run.
        held: the bytes that its parts take; see `memory`.
    """
    progress = state.progress
    return {
        "examples": progress.examples,
        "passes": progress.passes,
        "training_seconds": progress.seconds,
        "optimizer_seconds": progress.optimizer_seconds if progress.timed else None,
        "state_bytes": held["optimizer"],
    }
