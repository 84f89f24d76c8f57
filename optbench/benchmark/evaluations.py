"""How often the runs of a benchmark are scored: time to target is seen no finer than that."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from optbench.config.run_spec import RunSpec

if TYPE_CHECKING:
    from optbench.assemble.experiment import Experiment

PARTS = 50
"""Of a run's steps, after each of which it is scored at least."""
CHANGE_NOTHING = ("optimizer.", "schedule.")
"""Keys that change neither how long a run is nor what its evaluations decide."""


def evaluations_of(experiment: Experiment) -> Sequence[str]:
    """Return the overrides that say when a run with a fresh seed is scored.

    None where it is scored often enough, and where scores decide how the training goes on: with
    others it would be another training.

    Args:
        experiment: a run that is built as it would be without them.
    """
    settings = experiment.settings
    least = max(1, settings.total_steps // PARTS)
    reacts = any(each.hyperparameters.reacts for each in experiment.state.players)
    enough = 0 < settings.cadence.evaluate <= least
    return () if enough or reacts or settings.patience > 0 else (f"eval.every={least}",)


class EvaluationsOfTrials:
    """When fresh seeds with the settings of one optimizer's trials are scored.

    Args:
        base: without any trial's overrides.
        build: builds a run without training it.
    """

    def __init__(self, base: Sequence[str], build: Callable[[RunSpec], Experiment]) -> None:
        self._base, self._build = base, build
        self._found: dict[tuple[str, ...], Sequence[str]] = {}

    def of(self, lines: Sequence[str], spec: Callable[[Sequence[str]], RunSpec]) -> Sequence[str]:
        """Return the overrides for a trial with these, which `spec` makes a run of."""
        others = [line for line in lines if not line.lstrip("+~").startswith(CHANGE_NOTHING)]
        if not others:
            return self._base
        key = tuple(others)
        if key not in self._found:
            self._found[key] = evaluations_of(self._build(spec(lines)))
        return self._found[key]
