"""How many trials of a study are asked for before any of them is done, so that runs of one shape
are trained at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from optbench.compose.executors import SERIAL, ExecutorChoice
from optbench.config.run_spec import RunSpec
from optbench.runs.populations import MOST, check_population, refuse_elsewhere
from optbench.tuning.plan import StudyPlan

AUTO, OFF = "auto", "off"
LOOKS_AT_NOTHING = ("random", "grid", "qmc")
"""Samplers whose trials do not depend on what others came to."""


@dataclass(frozen=True)
class Asking:
    """How trials are asked for.

    Attributes:
        trials: how many at a time, all of which have to be over before the next ones are asked for;
            0 where another may be at any time.
        runs: that may wait to be done at once; 0 where each is done as it comes.
    """

    trials: int = 0
    runs: int = 0


def asking(plan: StudyPlan) -> Asking:
    """Return how a study's trials are asked for, by `sweep.population` of its runs.

    `auto` changes no trial: it asks for many where none depends on another's result, else for one,
    whose runs with several seeds go together. A number asks for as many as give so many runs.
    """
    wanted, runs = wanted_of(plan.base), len(plan.runs)
    if isinstance(wanted, int):
        trials = max(1, wanted // runs)
        return Asking(trials, trials * runs)
    if wanted == OFF or plan.pruner != "none":  # who gives up looks at those that ended before
        return Asking()
    if plan.sampler in LOOKS_AT_NOTHING:
        return Asking(0, max(MOST, runs))
    return Asking(1, runs) if runs > 1 else Asking()


def wanted_of(plain: Mapping[str, Any]) -> int | str:
    """Return `sweep.population` of a run's config; studies of before there was one have none."""
    sweep = plain.get("sweep")
    found = sweep.get("population", OFF) if isinstance(sweep, Mapping) else OFF
    return found if isinstance(found, int) else str(found)


def check_number(plan: StudyPlan, base: RunSpec, choice: ExecutorChoice) -> None:
    """Refuse a number of runs at once that can't be, before anything is made.

    Args:
        plan: of the study.
        base: a run without a trial's values.
        choice: who does the runs.

    Raises:
        UserError: other processes do the runs, these can't be trained at once, or do not fit into
            memory.
    """
    elsewhere, wanted = choice.name != SERIAL, base.config.sweep.population
    refuse_elsewhere(base, elsewhere)
    if isinstance(wanted, int) and not plan.space.get("choose"):
        check_population([base] * min(wanted, plan.trials * len(plan.runs)), elsewhere)
