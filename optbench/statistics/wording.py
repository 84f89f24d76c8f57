"""Comparisons in plain sentences."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from optbench.statistics.compare import Comparison
from optbench.statistics.power import least_pairs
from optbench.statistics.verdict import Verdict

MANY = 1000
"""Pairs: beyond it a number would say too much."""
FEWER = "differences are over the seeds that both finished, means over all that each one finished"
"""What is said where a difference is not that of the means that stand in a table."""
LARGE = 1e6
"""From here on a number is told by its power of ten."""


@dataclass(frozen=True)
class Unit:
    """How differences are said.

    Attributes:
        name: what is behind the number, such as `points`; nothing of a loss.
        scale: by what a difference is multiplied before: 100 of accuracies as parts of one.
    """

    name: str = ""
    scale: float = 1.0


PLAIN = Unit()
PARTS_OF_ONE = "accuracy"
"""How the names of metrics end that are said in points of a hundred."""


def unit_of(metric: str, scores: Iterable[float]) -> Unit:
    """Return how differences are said: in points, of accuracies that are parts of one.

    Example:
        >>> unit_of("test/accuracy", [0.91, 0.92]).name
        'points'
    """
    accuracy = metric.endswith(PARTS_OF_ONE) and all(0 <= score <= 1 for score in scores)
    return Unit("points", 100.0) if accuracy else PLAIN


def sentence(verdict: Verdict, unit: Unit = PLAIN) -> str:
    """Return a verdict in one plain sentence, without a full stop.

    Example:
        >>> from optbench.statistics.compare import compare_all
        >>> runs = {"adam": {0: 0.9, 1: 0.8, 2: 0.9}, "sgd": {0: 0.7, 1: 0.7, 2: 0.9}}
        >>> verdict = compare_all(runs, higher_is_better=True).row[0]
        >>> print(sentence(verdict, Unit("points", 100))[:57])
        3 seeds can't decide between adam and sgd: 6 is the least
    """
    if verdict.difference < 0:
        return sentence(verdict.turned(), unit)
    said = _SAID[verdict.outcome](verdict, unit)
    return said + _failures(verdict) if verdict.reason != "failures" else said


def sentences(comparison: Comparison, unit: Unit = PLAIN, what: str = "optimizers") -> list[str]:
    """Return what came of a comparison: who is best, the best's row, and who failed how often.

    Args:
        what: is compared.
    """
    said = [] if comparison.chosen_before else [_headline(comparison, what)]
    said += [sentence(verdict, unit) for verdict in comparison.row]
    for arm, (failed, runs) in comparison.failed.items():
        if failed:
            said.append(f"{arm} failed at {failed} of {runs} seeds")
    if any(_lacks_seeds(verdict, comparison) for verdict in comparison.row):
        said.append(FEWER)
    return said


def _lacks_seeds(verdict: Verdict, comparison: Comparison) -> bool:
    """Return whether one of two finished at a seed at which the other did not, or never ran."""
    finished = {arm: runs - failed for arm, (failed, runs) in comparison.failed.items()}
    most = max(finished[verdict.first], finished[verdict.second])
    return 0 < verdict.pairs < most


def lead_and_range(verdict: Verdict, unit: Unit = PLAIN) -> str:
    """Return how far the first is ahead, and the interval, for a table: `0.32 (0.16 to 0.46)`."""
    if not verdict.pairs:
        return ""
    return f"{_number(verdict.difference, verdict, unit)} ({_range(verdict, unit)})"


def _headline(comparison: Comparison, what: str) -> str:
    arms, best = len(comparison.arms), comparison.best
    if best is None:
        return f"none of {arms} {what} finished at any seed"
    if not comparison.row:
        return f"only {best} of {arms} {what} finished at any seed"
    fewest = min(verdict.pairs for verdict in comparison.row)
    least = least_pairs(len(comparison.verdicts), comparison.confidence)
    open_ = [verdict.second for verdict in comparison.row if verdict.outcome != "better"]
    if not open_:
        return f"{best} is the best of {len(comparison.row) + 1} {what}"
    if all(verdict.reason == "pairs" for verdict in comparison.row):
        scored = len(comparison.row) + 1
        among = str(scored) if scored == arms else f"the {scored} with scores of {arms}"
        return f"{_seeds(fewest)} can't decide among {among} {what}: {least} is the least"
    return f"{best} came first of {arms} {what}, but is not shown to be better than {_list(open_)}"


def _better(verdict: Verdict, unit: Unit) -> str:
    return (
        f"{verdict.first} beats {verdict.second} by {_lead(verdict, unit)} "
        f"({_percent(verdict)}: {_range(verdict, unit)}, {verdict.pairs} pairs)"
    )


def _indistinguishable(verdict: Verdict, unit: Unit) -> str:
    one, other = verdict.first, verdict.second
    if verdict.difference == verdict.low == verdict.high == 0:
        return f"{one} and {other} came to the same at all {_seeds(verdict.pairs)}"
    said = f"{one} and {other} are indistinguishable at {_seeds(verdict.pairs)}"
    if verdict.low > 0 or verdict.high < 0:
        said += (
            f" among {verdict.comparisons} comparisons (p = {verdict.p:.2g}, but "
            f"{verdict.p_adjusted:.2g} corrected for so many)"
        )
    difference = f"a difference of {_lead(verdict, unit)}"
    if verdict.needed is None or verdict.needed > MANY:
        return f"{said}: {difference} would need more than {MANY:,}"
    return f"{said}: {difference} would need about {verdict.needed}"


def _undecidable(verdict: Verdict, unit: Unit) -> str:
    one, other = verdict.first, verdict.second
    if not verdict.pairs:
        return f"{one} and {other} have no seed at which both finished"
    ahead = f"{one} is ahead by {_lead(verdict, unit)}"
    if verdict.reason == "failures":
        mine, others = verdict.failed
        return (
            f"{ahead} at the {_seeds(verdict.pairs)} where both finished, but failed at {mine} of "
            f"{verdict.seeds}, {other} at {others}: the means can't decide that"
        )
    least = least_pairs(verdict.comparisons, verdict.confidence)
    among = f" in {verdict.comparisons} comparisons" if verdict.comparisons > 1 else ""
    many = _seeds(verdict.pairs)
    said = f"{many} can't decide between {one} and {other}{among}: {least} is the least"
    if not verdict.difference:
        return said
    if verdict.interval == "none":
        return f"{said} ({ahead})"
    weak = " by Student's t, which is weak" if verdict.interval == "t" else ""
    return f"{said} ({ahead}; {_percent(verdict)}{weak}: {_range(verdict, unit)})"


_SAID = {
    "better": _better,
    "indistinguishable": _indistinguishable,
    "undecidable": _undecidable,
}


def _failures(verdict: Verdict) -> str:
    """Return what is to be said of seeds that are left out, as the end of a sentence."""
    if not verdict.pairs or not sum(verdict.failed):
        return ""
    names = (verdict.first, verdict.second)
    who = [f"{name} failed at {n}" for name, n in zip(names, verdict.failed, strict=True) if n]
    return f"; {' and '.join(who)} of {_seeds(verdict.seeds)}, which are left out"


def _number(value: float, verdict: Verdict, unit: Unit) -> str:
    """Return a number of a verdict, with two digits of half its interval, or of the difference."""
    half = (verdict.high - verdict.low) / 2
    size = abs(half if math.isfinite(half) and half else verdict.difference) * unit.scale
    decimals = 1 - math.floor(math.log10(size)) if size else 0
    if decimals > 6:
        return f"{value * unit.scale:.2g}"
    if abs(value) * unit.scale >= LARGE:
        return f"{value * unit.scale:.3g}"
    return f"{round(value * unit.scale, decimals) + 0.0:.{max(0, decimals)}f}"


def _lead(verdict: Verdict, unit: Unit) -> str:
    """Return the difference with its unit."""
    number = _number(verdict.difference, verdict, unit)
    return f"{number} {unit.name}" if unit.name else number


def _range(verdict: Verdict, unit: Unit) -> str:
    if not math.isfinite(verdict.high - verdict.low):
        return "anything"
    low, high = (_number(end, verdict, unit) for end in (verdict.low, verdict.high))
    return f"{low} to {high}"


def _percent(verdict: Verdict) -> str:
    return f"{100 * verdict.confidence:g} %"


def _seeds(many: int) -> str:
    return f"{many} seed" if many == 1 else f"{many} seeds"


def _list(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
