"""What one comparison of two optimizers comes to, as numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from optbench.statistics.paired import t_interval, wilcoxon_test
from optbench.statistics.power import least_pairs, pairs_needed
from optbench.statistics.sign_flip import sign_flip_interval, sign_flip_test

Outcome = Literal["better", "worse", "indistinguishable", "undecidable"]


@dataclass(frozen=True)
class Verdict:
    """The first optimizer against the second, over the seeds at which both finished.

    Attributes:
        difference: of the means; positive where the first is better. NaN without a pair.
        low, high: of the difference, for this comparison by itself.
        confidence: of the interval and, as 1 - alpha, of the outcome.
        p: of the exact sign-flip test.
        p_adjusted: by Holm, for all comparisons that were made; the outcome goes by it.
        p_wilcoxon: of Wilcoxon's signed-rank test, to look at.
        pairs: seeds at which both finished.
        comparisons: how many were made at once.
        test: what p is of.
        interval: what `low` and `high` are of: `sign-flip`; `t` of fewer pairs than the test can
            decide; `none` of a single pair.
        weak: so few pairs that no difference could be shown, or only by supposing more than is
            known.
        outcome: of the first. `undecidable`: there are too few pairs for any answer, or the one
            that is ahead failed at more seeds than the other and is not clearly enough ahead.
        reason: of an `undecidable`: `pairs` or `failures`.
        needed: about how many pairs this difference would need; None where no number would do.
        failed: at how many of the common seeds each failed.
        seeds: how many those are.
    """

    first: str
    second: str
    difference: float
    low: float
    high: float
    confidence: float
    p: float
    p_adjusted: float
    p_wilcoxon: float
    pairs: int
    comparisons: int
    test: Literal["sign-flip", "none"]
    interval: Literal["sign-flip", "t", "none"]
    weak: bool
    outcome: Outcome
    reason: Literal["", "pairs", "failures"]
    needed: int | None
    failed: tuple[int, int]
    seeds: int

    def turned(self) -> Verdict:
        """Return the second against the first."""
        return Verdict(
            first=self.second,
            second=self.first,
            difference=0.0 - self.difference,
            low=0.0 - self.high,
            high=0.0 - self.low,
            confidence=self.confidence,
            p=self.p,
            p_adjusted=self.p_adjusted,
            p_wilcoxon=self.p_wilcoxon,
            pairs=self.pairs,
            comparisons=self.comparisons,
            test=self.test,
            interval=self.interval,
            weak=self.weak,
            outcome=_TURNED[self.outcome],
            reason=self.reason,
            needed=self.needed,
            failed=(self.failed[1], self.failed[0]),
            seeds=self.seeds,
        )


_TURNED: dict[Outcome, Outcome] = {
    "better": "worse",
    "worse": "better",
    "indistinguishable": "indistinguishable",
    "undecidable": "undecidable",
}


@dataclass(frozen=True)
class Pairs:
    """Two optimizers' results at common seeds.

    Attributes:
        differences: of each seed at which both finished; positive where the first is better.
        failed: at how many seeds each failed.
        alone: at how many of them the other one finished.
        seeds: how many there are.
    """

    first: str
    second: str
    differences: tuple[float, ...]
    failed: tuple[int, int]
    alone: tuple[int, int]
    seeds: int

    @property
    def difference(self) -> float:
        """Return the mean difference; NaN without a pair."""
        return float(np.mean(self.differences)) if self.differences else math.nan

    def p(self) -> float:
        """Return the p of the sign-flip test; 1 without a pair."""
        return sign_flip_test(self.differences) if self.differences else 1.0

    def bears_failures(self, alpha: float) -> bool:
        """Return whether who is ahead still is, with each failure as the largest difference seen.

        It has lost the seeds that were hard for it: a mean over the others flatters it.
        """
        most = max(abs(difference) for difference in self.differences)
        counted = [*self.differences, *[-most] * self.alone[0], *[most] * self.alone[1]]
        same_side = sum(counted) * self.difference > 0
        return same_side and sign_flip_test(counted) <= alpha


def judge(
    pairs: Pairs, p: float, p_adjusted: float, comparisons: int, confidence: float = 0.95
) -> Verdict:
    """Return the verdict on one of some comparisons that were made at once.

    Args:
        p, p_adjusted: of the sign-flip test, as it is and by Holm.

    Raises:
        UserError: below 6 pairs: scipy is missing.
    """
    many = len(pairs.differences)
    interval, (low, high) = _interval(pairs.differences, confidence)
    outcome, reason = _outcome(pairs, p_adjusted, comparisons, confidence)
    return Verdict(
        first=pairs.first,
        second=pairs.second,
        difference=pairs.difference,
        low=low,
        high=high,
        confidence=confidence,
        p=p,
        p_adjusted=p_adjusted,
        p_wilcoxon=wilcoxon_test(pairs.differences) if many else 1.0,
        pairs=many,
        comparisons=comparisons,
        test="sign-flip" if many else "none",
        interval=interval,
        weak=many < least_pairs(1, confidence),
        outcome=outcome,
        reason=reason,
        needed=_needed(pairs, comparisons, confidence, outcome),
        failed=pairs.failed,
        seeds=pairs.seeds,
    )


def _interval(
    differences: Sequence[float], confidence: float
) -> tuple[Literal["sign-flip", "t", "none"], tuple[float, float]]:
    if len(differences) < 2:
        return "none", (-math.inf, math.inf)
    if len(differences) < least_pairs(1, confidence):
        return "t", t_interval(differences, confidence)
    return "sign-flip", sign_flip_interval(differences, confidence)


def _outcome(
    pairs: Pairs, p_adjusted: float, comparisons: int, confidence: float
) -> tuple[Outcome, Literal["", "pairs", "failures"]]:
    alpha = (1 - confidence) * (1 + 1e-9)
    if p_adjusted <= alpha:
        ahead = pairs.difference > 0
        of_ahead, of_other = pairs.failed if ahead else pairs.failed[::-1]
        if of_ahead > of_other and not pairs.bears_failures(alpha):
            return "undecidable", "failures"
        return ("better" if ahead else "worse"), ""
    if len(pairs.differences) < least_pairs(comparisons, confidence):
        return "undecidable", "pairs"
    return "indistinguishable", ""


def _needed(pairs: Pairs, comparisons: int, confidence: float, outcome: Outcome) -> int | None:
    """Return about how many pairs would do, more than there are if these did not."""
    if len(pairs.differences) < 2:
        return None
    deviation = float(np.std(pairs.differences, ddof=1))
    needed = pairs_needed(pairs.difference, deviation, comparisons, confidence=confidence)
    if needed is not None and outcome == "indistinguishable":
        return max(needed, len(pairs.differences) + 1)
    return needed
