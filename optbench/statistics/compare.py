"""Optimizers side by side, of runs of the same seeds: all pairs, Holm, and the best's row."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from optbench.statistics.holm import holm
from optbench.statistics.verdict import Pairs, Verdict, judge

Results = Mapping[str, Mapping[int, float | None]]
"""By optimizer, by seed. None and what is not finite are failures; other seeds were not run."""


@dataclass(frozen=True)
class Comparison:
    """What came of comparing some optimizers.

    Attributes:
        arms: their names, as given.
        best: who leads most others over their common seeds, or the baseline; None where nobody
            finished. Of those that failed at half of their seeds or more none is, while others did
            not.
        verdicts: on all pairs that were compared.
        row: `best` against each other one, in the order of `arms`.
        means: over `seeds`; NaN where there is none.
        seeds: at which all those finished that finished anywhere.
        failed: at how many seeds each failed, of how many that it ran.
        chosen_before: whether `best` is a baseline, fixed before the results were seen.
        confidence: of intervals and outcomes.
    """

    arms: tuple[str, ...]
    best: str | None
    verdicts: tuple[Verdict, ...]
    row: tuple[Verdict, ...]
    means: dict[str, float]
    seeds: tuple[int, ...]
    failed: dict[str, tuple[int, int]]
    chosen_before: bool
    confidence: float

    def verdict(self, first: str, second: str) -> Verdict:
        """Return the verdict on the first against the second.

        Raises:
            KeyError: these were not compared.
        """
        for each in self.verdicts:
            if (each.first, each.second) == (first, second):
                return each
            if (each.first, each.second) == (second, first):
                return each.turned()
        raise KeyError(f"{first} and {second} were not compared")


def compare_all(
    results: Results,
    higher_is_better: bool,
    confidence: float = 0.95,
    baseline: str | None = None,
) -> Comparison:
    """Compare all pairs of optimizers by seed, corrected for how many pairs there are.

    The best is picked from the same results, so all pairs count, whoever's row is read (Holm
    1979). A baseline that was fixed before counts its own pairs alone.

    Each pair is judged over the seeds at which both finished, and failures are told apart. No test
    protects a mean where only one of two fails: who is ahead but failed at more seeds than the
    other wins only if it does with each such failure counted as the largest difference seen, lost.

    Args:
        results: at least two optimizers.
        higher_is_better: of the results (an accuracy; not a loss).
        baseline: the name of the one to compare all others with.

    Raises:
        ValueError: fewer than two, or no such baseline.
        UserError: below 6 common seeds: scipy is missing.

    Example:
        >>> adam = {seed: 0.90 + seed / 1000 for seed in range(10)}
        >>> sgd = {seed: 0.88 + seed * seed / 10000 for seed in range(10)}
        >>> compare_all({"adam": adam, "sgd": sgd}, higher_is_better=True).row[0].outcome
        'better'
    """
    arms = tuple(results)
    if len(arms) < 2 or (baseline is not None and baseline not in results):
        said = f"baseline={baseline}: none of {', '.join(arms)}" if len(arms) > 1 else "too few"
        raise ValueError(f"{said}; expected at least two optimizers, and a baseline of them")
    finished = {arm: _finished(results[arm]) for arm in arms}
    failed = {arm: (len(results[arm]) - len(finished[arm]), len(results[arm])) for arm in arms}
    ran = [arm for arm in arms if finished[arm]]
    pairs = [
        _pair(one, other, results, 1.0 if higher_is_better else -1.0)
        for one, other in combinations(ran, 2)
        if baseline in (None, one, other)
    ]
    verdicts = _judged(pairs, confidence)
    best = baseline or _best(ran, pairs, failed)
    row = [v if v.first == best else v.turned() for v in verdicts if best in (v.first, v.second)]
    seeds = _common([finished[arm] for arm in ran])
    return Comparison(
        arms=arms,
        best=best,
        verdicts=verdicts,
        row=tuple(sorted(row, key=lambda v: arms.index(v.second))),
        means={arm: _mean([each[s] for s in seeds if s in each]) for arm, each in finished.items()},
        seeds=seeds,
        failed=failed,
        chosen_before=baseline is not None,
        confidence=confidence,
    )


def _judged(pairs: Sequence[Pairs], confidence: float) -> tuple[Verdict, ...]:
    """Return the verdicts on pairs that are compared at once."""
    p = [each.p() for each in pairs]
    return tuple(
        judge(each, p=of_it, p_adjusted=adjusted, comparisons=len(p), confidence=confidence)
        for each, of_it, adjusted in zip(pairs, p, holm(p), strict=True)
    )


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else math.nan


def _finished(results: Mapping[int, float | None]) -> dict[int, float]:
    """Return the results that are numbers: NaN and infinity are failures, as None is."""
    return {s: float(v) for s, v in results.items() if v is not None and math.isfinite(v)}


def _common(results: Sequence[Mapping[int, float | None]]) -> tuple[int, ...]:
    """Return the seeds that all have."""
    return tuple(sorted(set.intersection(*(set(each) for each in results)))) if results else ()


def _pair(one: str, other: str, results: Results, sign: float) -> Pairs:
    seeds = _common([results[one], results[other]])
    first, second = _finished(results[one]), _finished(results[other])
    return Pairs(
        first=one,
        second=other,
        differences=tuple(
            sign * (first[s] - second[s]) for s in seeds if s in first and s in second
        ),
        failed=(sum(s not in first for s in seeds), sum(s not in second for s in seeds)),
        alone=(
            sum(s in second and s not in first for s in seeds),
            sum(s in first and s not in second for s in seeds),
        ),
        seeds=len(seeds),
    )


def _best(
    ran: Sequence[str], pairs: Sequence[Pairs], failed: Mapping[str, tuple[int, int]]
) -> str | None:
    """Return who leads most of the others, then by the most in sum."""
    sound = [arm for arm in ran if 2 * failed[arm][0] < failed[arm][1]] or list(ran)
    leads = {arm: [0.0, 0.0] for arm in ran}
    for each in pairs:
        for arm, difference in ((each.first, each.difference), (each.second, -each.difference)):
            if math.isfinite(difference):
                leads[arm][0] += difference > 0
                leads[arm][1] += difference
    return max(sound, key=lambda arm: leads[arm], default=None)
