"""What a claim's rules say of what was measured. Their kinds: `kinds.py`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from itertools import chain, takewhile
from typing import Any

import numpy as np

from optbench.claims.judged import (
    HOLDS,
    LEVEL,
    NOT,
    SLACK,
    UNDECIDED,
    Judged,
    Region,
    judge,
)
from optbench.claims.kinds import kind_of_rule, within
from optbench.claims.measured import Measured, Values
from optbench.config.counted import counted
from optbench.config.suggest import did_you_mean
from optbench.errors import UserError
from optbench.statistics import least_pairs
from optbench.statistics.paired import mid_ranks
from optbench.statistics.scipys import stats


def judge_all(
    rules: Sequence[Mapping[str, Any]],
    measured: Measured,
    where: str,
    *,
    exact: bool = False,
    questions: int = 1,
) -> list[Judged]:
    """Judge a case of a claim by all its rules.

    Args:
        rules: they have to hold together.
        measured: of the case.
        where: leads messages.
        exact: nothing is drawn.
        questions: how many cases there are.

    Raises:
        UserError: a rule is about a quantity that the measure does not give.
    """
    asked = [(rule, names) for rule in rules for names in _quantities(rule, measured.values, where)]
    return [
        _judge(rule, names, measured.values, exact, questions, len(asked)) for rule, names in asked
    ]


def _quantities(
    rule: Mapping[str, Any], values: Mapping[str, Values], where: str
) -> list[list[str]]:
    """Return the quantities that a rule is about: for each time it is asked, their names."""
    kind = kind_of_rule(rule)
    said = rule[kind]
    if isinstance(said, list | tuple):
        return [[name for each in said for name in _matching(str(each), values, where)]]
    found = _matching(said, values, where)
    return [found] if kind == "ordered" else [[name] for name in found]


def _matching(pattern: str, values: Mapping[str, Values], where: str) -> list[str]:
    found = [pattern] if pattern in values else [n for n in values if fnmatchcase(n, pattern)]
    if not found:
        near = did_you_mean(pattern, values) if values else "it gives none"
        raise UserError(f"{where}: rule: {pattern}: not of what the measure gives; {near}")
    return found


def _judge(
    rule: Mapping[str, Any],
    names: Sequence[str],
    values: Mapping[str, Values],
    exact: bool,
    questions: int,
    rules: int,
) -> Judged:
    kind = kind_of_rule(rule)
    if kind == "share":
        return _share(rule, names[0], values[names[0]], questions, rules)
    if kind == "paired":
        quantity, of_seed, region, wanted = _paired(rule, names, values)
    elif kind == "ordered":
        quantity, of_seed, region, wanted = _ordered(rule, names, values)
    else:
        quantity, of_seed = names[0], values[names[0]]
        region, wanted = _region(rule, kind)
    kept = [value for value in of_seed.values() if value is not None and math.isfinite(value)]
    found = judge(quantity, wanted, kept, region, exact=exact, questions=questions, rules=rules)
    return _with_failures(found, len(of_seed) - len(kept), len(of_seed), questions, rules)


def _with_failures(found: Judged, failed: int, seeds: int, questions: int, rules: int) -> Judged:
    """Say nothing of a mean over seeds some of which have no value."""
    if failed:
        why = f"{failed} of {counted(seeds, 'seed')} gave no value"
        return replace(found, answer=UNDECIDED, p=1.0, needed=None, why=why)
    of = f" of {counted(questions, 'condition')}" if questions > 1 else ""
    least, low, high = least_pairs(questions), *found.region
    if found.answer == UNDECIDED and found.seeds < least:
        return replace(found, why=f"{least} seeds are the least that show anything{of}")
    least = least_pairs(questions * rules)
    outside = not low <= found.value <= high
    if found.answer == UNDECIDED and outside and found.seeds < least:
        return replace(
            found, why=f"{least} seeds are the least that exclude one of {rules} rules{of}"
        )
    return found


def _region(rule: Mapping[str, Any], kind: str) -> tuple[Region, str]:
    value = float(rule["value"])
    if kind == "above":
        return Region(low=value), f"above {value:g}"
    if kind == "below":
        return Region(high=value), f"below {value:g}"
    far = within(rule)
    said = rule["within"] if isinstance(rule["within"], str) else f"{far:g}"
    return Region(value - far, value + far, target=value), f"within {said} of {value:g}"


def _paired(
    rule: Mapping[str, Any], names: Sequence[str], values: Mapping[str, Values]
) -> tuple[str, Values, Region, str]:
    """Return the lead of the first by seed."""
    one, other = (values[name] for name in names)
    sign = 1.0 if rule["better"] == "more" else -1.0
    leads: dict[int, float | None] = {}
    for seed in [seed for seed in one if seed in other]:
        a, b = one[seed], other[seed]
        leads[seed] = None if a is None or b is None else sign * (a - b)
    margin = float(rule.get("margin", 0.0))
    less = f"; less than {margin:g} does not matter" if margin else ""
    wanted = f"{'more' if sign > 0 else 'less'} than {names[1]}{less}"
    what = f"lead of {names[0]} over {names[1]}"
    return what, leads, Region(low=0.0, matters=margin), wanted


def _ordered(
    rule: Mapping[str, Any], names: Sequence[str], values: Mapping[str, Values]
) -> tuple[str, Values, Region, str]:
    """Return, by seed, the rank correlation of the values with their order."""
    sign = 1.0 if rule["way"] == "rising" else -1.0
    seeds = [seed for seed in values[names[0]] if all(seed in values[name] for name in names)]
    found: dict[int, float | None] = {}
    for seed in seeds:
        row = [values[name][seed] for name in names]
        known = [value for value in row if value is not None and math.isfinite(value)]
        found[seed] = sign * _rank_correlation(known) if len(known) == len(row) else None
    least = float(rule.get("least", 0.0))
    wanted = f"{rule['way']} from {names[0]} to {names[-1]}"
    of = _shared(names)
    what = f"{of}: rank correlation, {rule['way']}" if of else f"rank correlation, {rule['way']}"
    return what, found, Region(low=least), wanted


def _shared(names: Sequence[str]) -> str:
    """Return the words that names begin with, such as `rate lr` of `rate lr=1` and `rate lr=2`."""
    rows = zip(*(name.replace("=", " ").split() for name in names), strict=False)
    return " ".join(row[0] for row in takewhile(lambda row: len({*row}) == 1, rows))


def _rank_correlation(values: Sequence[float]) -> float:
    """Return Spearman's correlation of values with their places; 0 where all are the same."""
    ranks, places = mid_ranks(values), np.arange(len(values), dtype=np.float64)
    if float(ranks.std()) == 0:
        return 0.0
    return float(np.corrcoef(ranks, places)[0, 1])


def _share(
    rule: Mapping[str, Any], name: str, of_seed: Values, questions: int, rules: int
) -> Judged:
    """Judge the share of seeds at which a quantity is not 0, by its exact interval."""
    above = "above" in rule
    bound = float(rule["above"] if above else rule["below"])
    wanted = f"{'above' if above else 'below'} {bound:g} of the seeds"
    many, yes = len(of_seed), sum(bool(value) for value in of_seed.values())
    test = stats().binomtest
    interval = test(yes, many).proportion_ci(1 - LEVEL)
    level = LEVEL / questions * SLACK
    more = float(test(yes, many, bound, alternative="greater").pvalue) * 2
    fewer = float(test(yes, many, bound, alternative="less").pvalue) * 2
    holds, fails = (more, fewer) if above else (fewer, more)
    answer, p = UNDECIDED, min(holds, fails)
    if fails <= level / rules:
        answer, p = NOT, fails * rules
    elif holds <= level:
        answer, p = HOLDS, holds
    return Judged(
        quantity=f"share of {name}",
        wanted=wanted,
        answer=answer,
        value=yes / many,
        low=float(interval.low),
        high=float(interval.high),
        seeds=many,
        p=min(1.0, p),
        needed=_more_seeds(yes / many, bound, many, level) if answer == UNDECIDED else None,
        region=(bound, 1.0) if above else (0.0, bound),
        values=tuple(float(bool(value)) for value in of_seed.values()),
    )


def _more_seeds(share: float, bound: float, many: int, level: float) -> int | None:
    """Return about how many seeds would tell a share from a bound."""
    test = stats().binomtest
    way = "greater" if share > bound else "less"
    for seeds in chain(range(many + 1, 200), range(200, 2001, 50)):
        p = float(test(round(share * seeds), seeds, bound, alternative=way).pvalue)
        if 2 * p <= level:
            return seeds
    return None
