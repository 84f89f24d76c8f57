"""What came of a benchmark, in tables of 80 columns and sentences."""

from __future__ import annotations

import math
from collections.abc import Sequence

from optbench.benchmark.results import ArmResult, ProblemResult, ranks
from optbench.console import print_table, print_text
from optbench.tuning.trials import said_of

FEW = (1, 2, 5, 10, 20, 50)
"""Trials of which the expected best is told, and of all."""
HEADER = ["optimizer", "n", "mean", "sd", "failed", "missed"]


def print_results(found: Sequence[ProblemResult]) -> None:
    """Print a table, verdicts, changed ranks and warnings for each workload."""
    for number, each in enumerate(found):
        if number:
            print_text("")
        problem = each.problem
        title = f"{problem.name}: {problem.scored}, chosen by {problem.metric}"
        arms = [arm for pair in zip(each.tuned, each.defaults, strict=True) for arm in pair]
        shown = {arm.name: arm for arm in arms if arm in each.tuned or not _same(arm, each)}
        digits = _decimals(arms)
        print_table(title, HEADER, [_row(arm, digits) for arm in shown.values()])
        for arm in each.tuned:
            if len(arm.contender.space.keys) and each.defaults is not each.tuned:
                print_text(f"{arm.name}: {' '.join(said_of(arm.values)) or 'its defaults'}")
        lines = [
            *each.said(),
            *_ranks(each),
            *_expected(each),
            *(f"note: {line}" for line in each.warnings),
        ]
        print_text("\n".join(["", *lines]))


def _same(arm: ArmResult, each: ProblemResult) -> bool:
    """Return whether an optimizer's defaults are what was chosen for it."""
    return any(arm.contender is tuned.contender and tuned.number == 0 for tuned in each.tuned)


def _decimals(arms: Sequence[ArmResult]) -> int:
    """Return so many decimals that the smallest deviation has two digits; at most 6."""
    sizes = [arm.deviation for arm in arms if arm.deviation > 0]
    return min(max(0, 1 - math.floor(math.log10(min(sizes)))), 6) if sizes else 4


def _row(arm: ArmResult, digits: int) -> list[str]:
    failed = len(arm.scores) - len(arm.finished)
    numbers = (_text(value, digits) for value in (arm.mean, arm.deviation))
    missed = "" if arm.misses is None else str(arm.misses)
    return [arm.name, str(len(arm.finished)), *numbers, str(failed), missed]


def _text(value: float, digits: int) -> str:
    if not math.isfinite(value):
        return ""
    return f"{value:.{digits}f}" if abs(value) < 1e6 else f"{value:.4g}"


def _expected(each: ProblemResult) -> list[str]:
    """Return what few and more trials are expected to come to."""
    trials = max((len(values) for values in each.expected.values()), default=1)
    shown = [n for n in FEW if n < trials] + [trials]
    if trials < 2:
        return []
    said = []
    for name, values in each.expected.items():
        texts = [f"{value:.4g}" if value is not None else "none" for value in values]
        said.append(f"{name} {', '.join(texts[n - 1] for n in shown)}")
    many = ", ".join(map(str, shown[:-1]))
    metric = each.problem.metric
    return [f"expected best {metric} of {many} and {shown[-1]} trials: {'; '.join(said)}"]


def _ranks(each: ProblemResult) -> list[str]:
    """Return what tuning changed in the order of the optimizers."""
    if each.defaults is each.tuned or len(each.tuned) < 2:
        return []
    before, after = ranks(each, each.defaults), ranks(each, each.tuned)
    order = " ".join(sorted(before, key=lambda name: before[name]))
    if before == after:
        return [f"by their means in the same order at their defaults: {order}"]
    moved = [f"{name} from {before[name]} to {after[name]}" for name in before]
    changed = [
        line for line, name in zip(moved, before, strict=True) if before[name] != after[name]
    ]
    return [f"by their means tuning changes the order ({order} at defaults): {', '.join(changed)}"]
