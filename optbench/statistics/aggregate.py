"""Scores across workloads: the interquartile mean, its band, and whether one workload decides.

Scores have to be on one scale before they are put together (a part of the best, of the way to a
target): that is the caller's to do, and to say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Scores = Mapping[str, Mapping[str, Mapping[int, float]]]
"""By optimizer, workload and seed."""


@dataclass(frozen=True)
class Band:
    """A value, and between what it fell in most of the draws."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Aggregate:
    """Means, interquartile or plain, across workloads.

    Attributes:
        arms: of each optimizer.
        differences: of each two, the first's less the second's; seeds stay paired.
        runs: how many went into each.
    """

    arms: dict[str, Band]
    differences: dict[tuple[str, str], Band]
    runs: int


def iqm(values: ArrayLike) -> float:
    """Return the mean of the middle half, as `scipy.stats.trim_mean(values, 0.25)`.

    Example:
        >>> iqm([0.0, 1.0, 2.0, 100.0])
        1.5
    """
    return float(_iqm(np.asarray(values, dtype=np.float64)))


def iqm_bands(
    scores: Scores, confidence: float = 0.95, draws: int = 2000, seed: int = 0
) -> Aggregate:
    """Return the interquartile mean of all runs of each optimizer, and of their differences.

    The bootstrap draws seeds anew within each workload, the same for all optimizers: seeds are
    pairs, and no workload is left out. Its generator is its own. The band shows how far seeds move
    the value; it is too narrow under some 20 runs, says nothing of other workloads, and no verdict
    rests on it.

    Args:
        scores: finite, on one scale. Seeds that not every optimizer has are left out.

    Raises:
        ValueError: other workloads than another's, a workload without a common seed, or a score
            that is not finite.

    Example:
        >>> runs = {"a": {"x": {0: 1.0, 1: 2.0}}, "b": {"x": {0: 0.0, 1: 1.0}}}
        >>> iqm_bands(runs).differences["a", "b"]
        Band(value=1.0, low=1.0, high=1.0)
    """

    def pooled(tables: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
        return _iqm(np.concatenate(tables, axis=-1))

    return _bands(scores, pooled, confidence, draws, seed)


def mean_bands(
    scores: Scores, confidence: float = 0.95, draws: int = 2000, seed: int = 0
) -> Aggregate:
    """Return the mean over the workloads of each optimizer's mean score, and of their differences.

    Each workload weighs the same, however many seeds it has. Args and bands are those of
    `iqm_bands`.

    Example:
        >>> runs = {"a": {"x": {0: 1.0}, "y": {0: 0.0, 1: 1.0}}}
        >>> mean_bands(runs).arms["a"].value
        0.75
    """

    def weighed(tables: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
        return np.asarray(np.mean([table.mean(axis=-1) for table in tables], axis=0))

    return _bands(scores, weighed, confidence, draws, seed)


def _bands(
    scores: Scores,
    statistic: Callable[[Sequence[NDArray[np.float64]]], NDArray[np.float64]],
    confidence: float,
    draws: int,
    seed: int,
) -> Aggregate:
    """Return a statistic of each optimizer's tables, with bands of seeds drawn anew."""
    arms = list(scores)
    tables = _tables(scores)
    random = np.random.default_rng(seed)
    drawn = [
        # arms, draws, seeds: the same seeds for all arms
        table[:, random.integers(0, table.shape[1], (draws, table.shape[1]))]
        for table in tables
    ]
    value, of_draws = statistic(tables), statistic(drawn)
    ends = [(1 - confidence) / 2, (1 + confidence) / 2]

    def band(value: float, draws: NDArray[np.float64]) -> Band:
        low, high = np.quantile(draws, ends)
        return Band(float(value), float(low), float(high))

    return Aggregate(
        {arm: band(value[i], of_draws[i]) for i, arm in enumerate(arms)},
        {
            (one, other): band(value[i] - value[j], of_draws[i] - of_draws[j])
            for i, one in enumerate(arms)
            for j, other in enumerate(arms)
            if i < j
        },
        sum(table.shape[1] for table in tables),
    )


def leave_one_out(
    workloads: Sequence[str], score: Callable[[list[str]], Mapping[str, float]]
) -> dict[str, list[str]]:
    """Return who is ranked where, the highest score first, with each workload left out.

    Where the first changes, one workload decides who wins.

    Args:
        workloads: at least 2.
        score: of all optimizers, from some of the workloads.

    Returns:
        By the workload that is left out.

    Example:
        >>> of = {"a": {"x": 1.0, "y": 1.0}, "b": {"x": 0.0, "y": 3.0}}
        >>> total = lambda left: {arm: sum(each[w] for w in left) for arm, each in of.items()}
        >>> leave_one_out(["x", "y"], total)
        {'x': ['b', 'a'], 'y': ['a', 'b']}
    """
    if len(workloads) < 2:
        raise ValueError("workloads: expected at least 2, to leave one out")
    orders = {}
    for left_out in workloads:
        scores = score([name for name in workloads if name != left_out])
        orders[left_out] = sorted(scores, key=lambda arm: -scores[arm])
    return orders


def _iqm(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the interquartile mean over the last axis."""
    cut = int(values.shape[-1] * 0.25)
    middle: NDArray[np.float64] = np.sort(values, axis=-1)[..., cut : values.shape[-1] - cut]
    return np.asarray(middle.mean(axis=-1))


def _tables(scores: Scores) -> list[NDArray[np.float64]]:
    """Return for each workload the scores by optimizer and common seed."""
    workloads = sorted({name for each in scores.values() for name in each})
    if not workloads or any(len(each) != len(workloads) for each in scores.values()):
        raise ValueError("scores: expected optimizers, each with the same workloads")
    tables = []
    for workload in workloads:
        common = set.intersection(*(set(each[workload]) for each in scores.values()))
        if not common:
            raise ValueError(f"scores: no seed of {workload} is every optimizer's")
        rows = [[each[workload][s] for s in sorted(common)] for each in scores.values()]
        table = np.array(rows, dtype=np.float64)
        if not np.isfinite(table).all():
            raise ValueError(f"scores: of {workload} not all are finite")
        tables.append(table)
    return tables
