"""The values of a study's next trial.

A sampler is made anew for each trial, with a seed of its own, and sees the trials before in a study
of its own in memory: what it draws is a function of these and of the place, and a kill loses none
of it.
"""

from __future__ import annotations

import hashlib
import itertools
import random
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from optbench.search.space import Space
from optbench.tuning.at_once import asking
from optbench.tuning.plan import StudyPlan
from optbench.tuning.samplers import distributions, grid_of, make_sampler, params_of, size_of
from optbench.tuning.storage import in_memory

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial, Trial

Proposal = tuple[dict[str, Any], dict[str, Any]]
"""Parameters in optuna's terms, and what a sampler keeps with its trial."""


def proposed(plan: StudyPlan, space: Space, place: int, before: Sequence[FrozenTrial]) -> Proposal:
    """Return what a trial tries.

    Args:
        plan: of the study.
        space: that of the plan.
        place: of the trial, from 0.
        before: the trials before it, those that are still running among them.
    """
    if plan.sampler == "grid":
        return params_of(space, _of_grid(space, plan.seed, place)), {}
    if plan.sampler == "qmc":
        return params_of(space, _of_sequence(space, plan.seed, place)), {}
    by_choice = bool(space.chosen)
    sampler = make_sampler(
        plan.sampler,
        derived(plan.seed, place),
        len(space.every),
        group=by_choice,
        several=asking(plan).trials > 1,
    )
    study = in_memory(before, plan.mode, sampler)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that infinities are clipped, that a method is new
        trial = study.ask({} if by_choice else distributions(space))
        if by_choice:
            _suggested(space, trial)
    found = study.get_trials(deepcopy=False)[trial.number]
    return dict(found.params), dict(found.system_attrs)


def _suggested(space: Space, trial: Trial) -> None:
    """Have a trial get values: of the choices first, then of what is searched with these."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    chosen = {}
    for group in space.chosen:
        names = space.keys[group].choices
        chosen[group] = names[trial.suggest_categorical(group, range(len(names)))]
    for name, each in distributions(space, chosen).items():
        if name in space.chosen:
            continue
        if isinstance(each, CategoricalDistribution):
            trial.suggest_categorical(name, each.choices)
        elif isinstance(each, IntDistribution):
            trial.suggest_int(name, each.low, each.high, log=each.log)
        elif isinstance(each, FloatDistribution):
            trial.suggest_float(name, each.low, each.high, log=each.log)


def _of_grid(space: Space, seed: int, place: int) -> dict[str, Any]:
    """Return a point of the grid, in an order of the seed: some are spread over the whole.

    A list's are in its own.
    """
    if space.rows:
        return dict(space.rows[place])
    order = random.Random(derived(seed, 0)).sample(range(size_of(space)), size_of(space))
    return next(itertools.islice(grid_of(space), order[place], None))


def _of_sequence(space: Space, seed: int, place: int) -> dict[str, Any]:
    """Return a point of a scrambled Sobol sequence, as values by key."""
    from scipy.stats.qmc import Sobol

    sequence = Sobol(space.dimensions, scramble=True, rng=derived(seed, 0))
    if place:
        sequence.fast_forward(place)
    (point,) = sequence.random(1)
    return space.at([float(u) for u in point])


def derived(seed: int, place: int) -> int:
    """Return a seed of 32 bits for one trial of a study."""
    digest = hashlib.sha256(f"{seed}/{place}".encode()).digest()
    return int.from_bytes(digest[:4], "little")
