"""Who goes on, who copies whom, and with which values: pure functions of the scores.

What is drawn is a function of the seed, the round, the member and the key, so it can be found
again from the scores alone. No torch.

References:
    Jaderberg et al., Population Based Training of Neural Networks, 2017, arXiv:1711.09846.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from optbench.search.distribution import CHOICE, Distribution
from optbench.search.space import Space

FACTORS = (0.8, 1.2)
"""By which a number that was copied is multiplied, one or the other."""


@dataclass(frozen=True)
class Member:
    """One of a population, in one round.

    Attributes:
        values: by key of the space.
        parent: of the round before, whose weights and optimizer state it goes on from; None in the
            first round.
        copied: whether the parent is another one than itself.
    """

    values: Mapping[str, Any]
    parent: int | None = None
    copied: bool = False


def first_round(space: Space, members: int, seed: int) -> list[Member]:
    """Return a population that begins, with values drawn from the space."""
    return [
        Member({k: each.value(_draws(seed, 0, m, k).random()) for k, each in space.keys.items()})
        for m in range(members)
    ]


def next_round(
    space: Space,
    before: Sequence[Member],
    scores: Sequence[float | None],
    number: int,
    seed: int,
    mode: str,
    quantile: float,
    resample: float,
) -> list[Member]:
    """Return a population after its worst members have copied its best.

    Args:
        space: what is searched.
        before: the members of the round before.
        scores: theirs; None of one that is lost: it diverged, failed or died.
        number: of the round that begins, from 1.
        seed: of all that is drawn.
        mode: `min` or `max`.
        quantile: the part that is replaced, and the part that is copied; up to a half.
        resample: how likely a copied value is drawn anew, instead of being multiplied.

    Raises:
        ValueError: all are lost.
    """
    alive = ranked(scores, mode)
    if not alive:
        raise ValueError("all members are lost")
    many = min(math.ceil(quantile * len(before)), len(before) // 2)
    best = alive[:many]
    worst = {*alive[len(before) - many :]} | {m for m, score in enumerate(scores) if score is None}
    found = []
    for m, own in enumerate(before):
        if m not in worst:
            found.append(Member(own.values, m))
            continue
        parent = Random(f"{seed}/{number}/{m}").choice(best)
        copied = before[parent].values
        values = {
            key: explored(each, copied[key], _draws(seed, number, m, key), resample)
            for key, each in space.keys.items()
        }
        found.append(Member(values, parent, copied=True))
    return found


def ranked(scores: Sequence[float | None], mode: str) -> list[int]:
    """Return the members that have a score, the best first, of equals the first."""
    sign = 1 if mode == "min" else -1
    have = [(sign * score, m) for m, score in enumerate(scores) if score is not None]
    return [m for _, m in sorted(have)]


def explored(each: Distribution, value: Any, draws: Random, resample: float) -> Any:
    """Return a value near one that was copied, or a fresh one, always within the range.

    A number is multiplied by 0.8 or 1.2 (of `one_minus_log` 1 - value is); a whole one becomes
    another one. One of a list, and 0, is drawn anew.
    """
    fresh, factor = draws.random() < resample, draws.choice(FACTORS)
    number = None if each.kind == CHOICE else each.from_value(value)
    if fresh or not number:
        return each.value(draws.random())
    low, high = each.low, each.high
    if not each.whole:
        return each.to_value(min(max(number * factor, low), high))
    moved = min(max(round(number * factor), low), high)
    if moved != number:
        return moved
    step = 1 if (factor > 1) == (number > 0) else -1
    return number + step if low <= number + step <= high else number - step


def _draws(seed: int, number: int, member: int, key: str) -> Random:
    return Random(f"{seed}/{number}/{member}/{key}")
