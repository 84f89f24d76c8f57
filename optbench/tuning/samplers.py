"""Who chooses a trial's values, and who gives a trial up: optuna's samplers and pruners by name."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from optbench.assemble.create import need
from optbench.config.suggest import did_you_mean
from optbench.errors import UserError
from optbench.search.distribution import CHOICE

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler

    from optbench.search.distribution import Distribution
    from optbench.search.space import Space

SAMPLERS = ("tpe", "random", "grid", "qmc", "cmaes", "gp")
PRUNERS = ("none", "median", "hyperband", "wilcoxon")
EXTRA = "tune"
NEEDS = {"cmaes": "cmaes", "qmc": "scipy", "gp": "scipy"}
"""What a sampler needs beside optuna."""


def check_names(sampler: str, pruner: str, runs: int) -> None:
    """Check that sampler and pruner exist, and that what they need is there.

    Args:
        sampler: its name.
        pruner: its name.
        runs: of each trial.

    Raises:
        UserError: one does not, or the package is missing.
    """
    if sampler not in SAMPLERS:
        raise UserError(f"sampler={sampler}: no such sampler; {did_you_mean(sampler, SAMPLERS)}")
    if pruner not in PRUNERS:
        raise UserError(f"pruner={pruner}: no such pruner; {did_you_mean(pruner, PRUNERS)}")
    need("optuna", EXTRA, f"sampler={sampler}")
    if sampler in NEEDS:
        need(NEEDS[sampler], EXTRA, f"sampler={sampler}")
    if pruner == "wilcoxon" and runs < 3:
        raise UserError(
            "pruner=wilcoxon: it compares the runs of a trial, of which it needs several: seeds=5"
        )
    if pruner in ("median", "hyperband") and runs > 1:
        raise UserError(
            f"pruner={pruner}: it gives up single runs, and a trial has {runs}; pruner=wilcoxon"
        )


OF_ANY_KEYS = ("tpe", "random", "qmc")
"""Samplers that do where trials have different keys."""


def check_keys(sampler: str, space: Space) -> None:
    """Refuse a sampler that wants the same keys in all trials, where trials choose files."""
    if space.chosen and sampler not in OF_ANY_KEYS:
        groups = " and the ".join(space.chosen)
        raise UserError(
            f"sampler={sampler}: wants the same keys in all trials, which here depend on the "
            f"{groups}; use {', '.join(OF_ANY_KEYS)}"
        )


def make_sampler(
    name: str, seed: int, keys: int, group: bool = False, several: bool = False
) -> BaseSampler:
    """Make one of optuna's samplers for one trial.

    Args:
        name: `tpe`, `random`, `cmaes` or `gp`.
        seed: of what it draws.
        keys: how many there are.
        group: whether trials have different ones.
        several: whether trials are asked for at once: TPE then keeps away from those without a
            score yet, by counting them as bad ones (optuna's constant liar).
    """
    import optuna

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        if name == "random":
            return optuna.samplers.RandomSampler(seed=seed)
        if name == "cmaes":
            return optuna.samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False)
        if name == "gp":
            return optuna.samplers.GPSampler(seed=seed, warn_independent_sampling=False)
        return optuna.samplers.TPESampler(
            seed=seed, multivariate=keys > 1, group=group, constant_liar=several
        )


def make_pruner(name: str, evaluations: int) -> BasePruner:
    """Make a pruner; `evaluations`: how often a whole run is scored."""
    import optuna

    if name == "median":
        return optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=1)
    if name == "hyperband":
        return optuna.pruners.HyperbandPruner(
            min_resource=1, max_resource=max(1, evaluations), reduction_factor=3
        )
    if name == "wilcoxon":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return optuna.pruners.WilcoxonPruner(p_threshold=0.1, n_startup_steps=2)
    return optuna.pruners.NopPruner()


def distributions(
    space: Space, values: Mapping[str, Any] | None = None
) -> dict[str, BaseDistribution]:
    """Return a space in optuna's terms: choices by number, `one_minus_log` by 1 - value.

    Args:
        space: what is searched.
        values: that say which files are chosen, of a space that chooses some.
    """
    return {name: distribution(each) for name, (_, each) in space.named(values or {}).items()}


def distribution(given: Distribution) -> BaseDistribution:
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    if given.kind == CHOICE:
        return CategoricalDistribution(range(len(given.choices)))
    if given.whole:
        return IntDistribution(int(given.low), int(given.high), log=given.logarithmic)
    return FloatDistribution(given.low, given.high, log=given.logarithmic)


def _index(given: Distribution, value: Any) -> int:
    """Return which of the choices a value is; 1 is another than true and 1.0."""
    same = [type(choice) is type(value) and choice == value for choice in given.choices]
    return same.index(True)


def values_of(space: Space, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of the config's keys that optuna's parameters stand for."""
    named = space.named({key: space.keys[key].choices[params[key]] for key in space.chosen})
    found: dict[str, Any] = {}
    for name, param in params.items():
        key, given = named[name]
        found[key] = given.choices[param] if given.kind == CHOICE else given.to_value(param)
    return found


def params_of(space: Space, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return optuna's parameters for values of the config's keys."""
    return {
        name: _index(given, values[key]) if given.kind == CHOICE else given.from_value(values[key])
        for name, (key, given) in space.named(values).items()
        if key in values
    }


def grid_of(space: Space) -> Iterator[dict[str, Any]]:
    """Yield all combinations of the points of a grid, the last key changing fastest."""
    if space.rows:
        yield from map(dict, space.rows)
        return
    for point in itertools.product(*(each.grid() for each in space.keys.values())):
        yield dict(zip(space.keys, point, strict=True))


def size_of(space: Space) -> int:
    """Return how many points a grid has."""
    if space.rows:
        return len(space.rows)
    return math.prod(len(each.grid()) for each in space.keys.values())
