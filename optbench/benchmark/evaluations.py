"""How often the runs of a benchmark are scored: time to target is seen no finer than that."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from optbench.config.run_spec import RunSpec

if TYPE_CHECKING:
    from optbench.assemble.experiment import Experiment

PARTS = 50
"""Of a run's steps, after each of which it is scored at least."""
CHANGE_NOTHING = ("optimizer.", "schedule.")
"""Keys that change neither how long a run is nor what its evaluations decide."""


class Evaluations(NamedTuple):
    """The overrides that say when a run is scored.

    Attributes:
        confirming: of a run with a fresh seed.
        tuning: of a trial: none, unless what is scored decides how the training goes on.
    """

    confirming: Sequence[str]
    tuning: Sequence[str]


def evaluations_of(experiment: Experiment) -> Evaluations:
    """Return them for runs that are built as this one is."""
    settings = experiment.settings
    least = max(1, settings.total_steps // PARTS)
    if 0 < settings.cadence.evaluate <= least:
        return Evaluations((), ())
    lines = (f"eval.every={least}",)
    players = experiment.state.players
    decides = settings.patience > 0 or any(each.hyperparameters.reacts for each in players)
    return Evaluations(lines, lines if decides else ())


class EvaluationsOfTrials:
    """When the runs of one optimizer's trials are scored.

    Args:
        base: without any trial's overrides.
        build: builds a run without training it.
    """

    def __init__(self, base: Evaluations, build: Callable[[RunSpec], Experiment]) -> None:
        self._base, self._build = base, build
        self._found: dict[tuple[str, ...], Evaluations] = {}

    def of(self, lines: Sequence[str], spec: Callable[[Sequence[str]], RunSpec]) -> Evaluations:
        """Return them for a trial with these overrides, which `spec` makes a run of."""
        others = [line for line in lines if not line.lstrip("+~").startswith(CHANGE_NOTHING)]
        if not others:
            return self._base
        key = tuple(others)
        if key not in self._found:
            self._found[key] = evaluations_of(self._build(spec(lines)))
        return self._found[key]
