"""What a learning rate range test has measured, as plain data."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from optbench.search.lr_range import DIVERGED, SMOOTHING, Ramp, Spread

if TYPE_CHECKING:
    from optbench.search.find_lr import Trial


def measured(ramp: Ramp, trials: Sequence[Trial], spreads: Mapping[str, Spread]) -> dict[str, Any]:
    """Return the suggestions, the curve of each seed, and how they were measured and smoothed."""
    return {
        "suggestions": {rule: dataclasses.asdict(spread) for rule, spread in spreads.items()},
        "seeds": {str(trial.seed): _trial(trial) for trial in trials},
        "ramp": dataclasses.asdict(ramp),
        "smoothing": SMOOTHING,
        "diverges_at_times": DIVERGED,
    }


def _trial(trial: Trial) -> dict[str, Any]:
    smooth = trial.curve.before_divergence().smoothed()
    return {
        "suggestions": trial.suggestions,
        "ended": trial.ended,
        "message": trial.message,
        "skipped_steps": trial.skipped,
        "lr": trial.curve.lrs,
        "loss": trial.curve.losses,
        "smoothed_lr": smooth.lrs,
        "smoothed_loss": smooth.losses,
    }
