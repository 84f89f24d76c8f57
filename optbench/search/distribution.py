"""What a search takes the values of one key from: a range on some scale, or a list. No torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import pairwise
from typing import Any, Literal

from optbench.config.flow import flow
from optbench.config.suggest import did_you_mean
from optbench.errors import UserError

LOG, UNIFORM, INT, LOG_INT = "log", "uniform", "int", "log_int"
CHOICE, ONE_MINUS_LOG = "choice", "one_minus_log"
KINDS = (LOG, UNIFORM, INT, LOG_INT, CHOICE, ONE_MINUS_LOG)

CALLED = {
    **dict.fromkeys(("loguniform", "log_uniform", "logfloat", "logspace"), LOG),
    **dict.fromkeys(("float", "range", "interval", "linear", "linspace"), UNIFORM),
    **dict.fromkeys(("integer", "randint"), INT),
    **dict.fromkeys(("int_log", "logint", "lograndint"), LOG_INT),
    **dict.fromkeys(("choices", "categorical", "values", "grid", "feasible_points"), CHOICE),
}
"""What other programs call the kinds."""

POINTS = "points"
FEWEST, MOST = 2, 1000
"""Points of a grid that may be asked for."""
OF_A_RANGE = 5
"""Points that a grid takes of a range if nobody says how many."""
ALL_OF = 10
"""Whole numbers that a grid takes all of."""
WHOLE = 2**53
"""From here on floats are not exact."""
NEAR_ONE = 0.95
"""To which 1 - value of `one_minus_log` is widened at once; from there by half of what is left."""

Side = Literal["low", "high"]


@dataclass(frozen=True)
class Distribution:
    """What the values of one key are taken from.

    Attributes:
        kind: `log`, `uniform`: numbers of a range; `int`, `log_int`: whole numbers; `choice`: one
            of a list; `one_minus_log`: numbers whose distance to 1 is log-uniform, as momentum.
        low, high: ends of the range, both in it; of `one_minus_log` those of 1 - value, so that its
            `low` is its largest value. 0 of a choice.
        choices: of a choice: numbers, texts, true, false, null, or lists of these.
        points: that a grid takes of it; None: 5 of a range, all of a list and of up to 10 whole
            numbers.
    """

    kind: str
    low: float = 0.0
    high: float = 0.0
    choices: tuple[Any, ...] = ()
    points: int | None = None

    @property
    def logarithmic(self) -> bool:
        """Return whether equal ratios, of the value or of 1 - value, are equally likely."""
        return self.kind in (LOG, LOG_INT, ONE_MINUS_LOG)

    @property
    def whole(self) -> bool:
        """Return whether the values are whole numbers of a range."""
        return self.kind in (INT, LOG_INT)

    def to_value(self, number: Any) -> Any:
        """Return the value of a number between `low` and `high`: 1 - it of `one_minus_log`."""
        return _complement(number) if self.kind == ONE_MINUS_LOG else number

    def from_value(self, value: Any) -> Any:
        """Return the number between `low` and `high` that a value is."""
        return self.to_value(value)

    def value(self, u: float) -> Any:
        """Return the value at a place of the unit interval, 0 and 1 being `low` and `high`.

        Of places that are uniform in [0, 1] the values are distributed as the kind says.
        """
        if self.kind == CHOICE:
            return self.choices[min(int(u * len(self.choices)), len(self.choices) - 1)]
        if self.whole:  # each has what is within a half of it
            number = round(self._at(u, self.low - 0.5, self.high + 0.5))
            return min(max(number, self.low), self.high)
        return self.to_value(self._at(u, self.low, self.high))

    def place(self, value: Any) -> float | None:
        """Return where a value is in its own scale, 0 at `low` and 1 at `high`.

        A value beyond an end is at it. None of a choice and of what is no number.
        """
        if self.kind == CHOICE or not _is_number(value):
            return None
        number = min(max(self.from_value(value), self.low), self.high)
        low, high = self.low, self.high
        if self.logarithmic:
            number, low, high = math.log(number), math.log(low), math.log(high)
        return float((number - low) / (high - low)) if high > low else 0.0

    def grid(self) -> list[Any]:
        """Return the values of a grid, evenly spaced in their own scale, both ends among them."""
        if self.kind == CHOICE:
            return _spread(self.choices, self.points or len(self.choices))
        number = self.points or OF_A_RANGE
        if self.whole:
            every = range(int(self.low), int(self.high) + 1)
            if len(every) <= (self.points or ALL_OF):
                return list(every)
            return sorted({round(number) for number in self._evenly(number)})
        return [self.to_value(number) for number in _short(self._evenly(number))]

    def at_edge(self, value: Any, share: float = 0.05) -> Side | None:
        """Return the end that a value is at, if it is at one.

        Args:
            share: of the range, in its own scale, that counts as its end. Of numbers in a list, in
                order, the first and the last are its ends.

        Returns:
            `low` or `high`, as the ends are called here; None in between, and where there are
            fewer than three values or no order.
        """
        if self.kind == CHOICE:
            order = self._ordered()
            if len(order) < 3 or not _is_number(value) or value not in (order[0], order[-1]):
                return None
            return "low" if value == order[0] else "high"
        place = self.place(value)
        if place is None or (self.whole and self.high - self.low < 2):
            return None
        return "low" if place <= share else "high" if place >= 1 - share else None

    def wider(self, side: Side) -> Distribution:
        """Return a distribution that has more beyond an end: a decade, or a third of the range.

        It stays in what is possible: what is not negative doesn't become so, `one_minus_log` stays
        within (0, 1), and whole numbers are at least 1 unless they were less. Where there is
        nothing beyond, it is the same. A list of numbers gets the next one.
        """
        if self.kind == CHOICE:
            return self._longer(side)
        end = self._beyond(side)
        found = replace(self, low=end) if side == "low" else replace(self, high=end)
        return found if _fault(found.kind, found.low, found.high) is None else self

    def as_plain(self) -> dict[str, Any]:
        """Return what stands in a YAML for it."""
        said = list(self.choices) if self.kind == CHOICE else [self.low, self.high]
        return {self.kind: said, **({POINTS: self.points} if self.points else {})}

    def _at(self, u: float, low: float, high: float) -> float:
        if u <= 0 or u >= 1:
            return low if u <= 0 else high
        if self.logarithmic:
            start, end = math.log(low), math.log(high)
            found = math.exp(start + u * (end - start))
        else:
            found = low + u * (high - low)
        return min(max(found, low), high)

    def _evenly(self, number: int) -> list[float]:
        return [self._at(k / (number - 1), self.low, self.high) for k in range(number)]

    def _beyond(self, side: Side) -> float:
        """Return the end that is further out."""
        low, high = self.low, self.high
        if self.kind == ONE_MINUS_LOG and side == "high":
            return _tidy(min(10 * high, NEAR_ONE)) if high < NEAR_ONE else (1 + high) / 2
        if self.kind == LOG_INT:
            return max(low // 10, 1) if side == "low" else high * 10
        if self.logarithmic:
            return _tidy(low / 10 if side == "low" else high * 10)
        more = max((high - low) // 3, 1) if self.whole else (high - low) / 3
        if side == "high":
            return high + more if self.whole else _tidy(high + more)
        least = -math.inf if low < 0 else min(low, 1) if self.whole else 0.0
        return max(low - more if self.whole else _tidy(low - more), least)

    def _ordered(self) -> list[Any]:
        """Return the choices from the least on if they are numbers in order; else nothing."""
        if not all(map(_is_number, self.choices)):
            return []
        order = sorted(self.choices)
        return order if list(self.choices) in (order, order[::-1]) else []

    def _longer(self, side: Side) -> Distribution:
        order = self._ordered()
        if len(order) < 2:
            return self
        last, before = (order[0], order[1]) if side == "low" else (order[-1], order[-2])
        near = order[:3] if side == "low" else order[-3:]
        evenly = near[0] <= 0 or (len(near) > 2 and _differences_are_equal(near))
        following = last + (last - before) if evenly else last * (last / before)
        if not math.isfinite(following):
            return self
        whole = all(isinstance(item, int) for item in order)
        following = round(following) if whole else _tidy(following)
        least = min(order[0], 1 if whole else 0)
        if (order[0] >= 0 and following < least) or following in order:
            return self
        first = (side == "low") == (self.choices[0] == order[0])
        choices = (following, *self.choices) if first else (*self.choices, following)
        return replace(self, choices=choices)


def read_distribution(plain: Any, where: str) -> Distribution:
    """Read a distribution as it stands in a YAML, such as `{log: [1e-4, 1e-2], points: 5}`.

    Args:
        where: what it is of, for messages.

    Raises:
        UserError: it is none.
    """
    if not isinstance(plain, Mapping):
        found = flow(plain)
        raise UserError(f"{where}: {found}: expected a kind, such as {{log: [0.0001, 0.01]}}")
    kinds = [key for key in plain if key in KINDS]
    for key in plain:
        if key in KINDS or key == POINTS:
            continue
        if isinstance(plain[key], Mapping):
            name = f"{where.rpartition(' ')[2]}.{key}"
            raise UserError(
                f"{where}.{key}: keys are written whole, with dots; did you mean {name}?"
            )
        if kinds:
            raise UserError(f"{where}: {key}: no such key; beside {kinds[0]} there is {POINTS}")
        near = CALLED.get(str(key).lower())
        hint = f"did you mean {near}?" if near else did_you_mean(str(key), KINDS)
        raise UserError(f"{where}: {key}: no such kind; {hint}")
    if len(kinds) != 1:
        said = " and ".join(kinds) or flow(plain)
        raise UserError(f"{where}: {said}: expected one kind, of {', '.join(KINDS)}")
    points = plain.get(POINTS)
    if points is not None and not (_is_whole(points) and FEWEST <= points <= MOST):
        said = f"{POINTS}={flow(points)}"
        raise UserError(f"{where}: {said}: expected a whole number from {FEWEST} to {MOST}")
    kind = kinds[0]
    points = None if points is None else int(points)
    if kind == CHOICE:
        return Distribution(kind, choices=_choices(plain[kind], where), points=points)
    low, high = _ends(kind, plain[kind], f"{where}: {kind}={flow(plain[kind])}")
    return Distribution(kind, low, high, points=points)


def _ends(kind: str, pair: Any, said: str) -> tuple[float, float]:
    if not isinstance(pair, list | tuple) or len(pair) != 2:
        raise UserError(f"{said}: expected [low, high]")
    whole = kind in (INT, LOG_INT)
    for end in pair:
        if not (_is_whole(end) if whole else _is_number(end)):
            what = "whole numbers" if whole else "numbers"
            raise UserError(f"{said}: {flow(end)}: expected {what}")
    low, high = (int(end) if whole else float(end) for end in pair)
    fault = _fault(kind, low, high)
    if fault is not None:
        raise UserError(f"{said}: {fault}")
    return low, high


def _fault(kind: str, low: float, high: float) -> str | None:
    """Return what is wrong with the ends of a range; None if nothing is."""
    if low == high:
        return "the range is empty; what is the same in all runs is an override"
    if low > high:
        return _fault(kind, high, low) or f"upside down; did you mean {flow([high, low])}?"
    if kind in (LOG, LOG_INT) and low <= 0:
        least = "at least 1" if kind == LOG_INT else "above 0"
        return f"0 and less have no logarithm; low has to be {least}"
    if kind == ONE_MINUS_LOG and not (low > 0 and high < 1 and _complement(low) < 1):
        return "it is of 1 - value, within 0 and 1: [0.02, 0.5] is from 0.5 to 0.98"
    if kind in (INT, LOG_INT) and max(-low, high) > WHOLE:
        return "whole numbers end at 2^53"
    return None if math.isfinite(high - low) else "wider than floats go"


def _choices(listed: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(listed, list | tuple):
        raise UserError(f"{where}: {CHOICE}={flow(listed)}: expected a list of values")
    if not listed:
        raise UserError(f"{where}: {CHOICE}=[]: nothing to choose from")
    for number, item in enumerate(listed):
        items = item if isinstance(item, list | tuple) else [item]
        if not all(_is_scalar(part) for part in items):
            hint = "expected numbers, texts, true, false, null, or lists of these"
            raise UserError(f"{where}: {CHOICE}: {flow(item)}: {hint}")
        if any(_same(item, other) for other in listed[:number]):
            raise UserError(f"{where}: {CHOICE}: {flow(item)} is there twice")
    return tuple(list(item) if isinstance(item, tuple) else item for item in listed)


def _is_number(value: Any) -> bool:
    """Return whether a value is a number that is finite, as a float too."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer that no float is near
        return False


def _is_whole(value: Any) -> bool:
    return _is_number(value) and value == int(value)


def _is_scalar(value: Any) -> bool:
    return value is None or isinstance(value, bool | str) or _is_number(value)


def _same(one: Any, other: Any) -> bool:
    """Return whether two choices are one: 1 and 1.0 are, 1 and true are not."""
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _complement(number: float) -> float:
    """Return 1 - a number as it is written: 0.57 of 0.43, not 0.5700000000000001."""
    return float(1 - Decimal(repr(float(number))))


def _tidy(number: float, digits: int = 12) -> float:
    """Return a number without what a quotient leaves in its last digits."""
    return float(f"{number:.{digits}g}")


def _short(numbers: list[float]) -> list[float]:
    """Return numbers of a grid with four digits, its ends as they are; as they are if too near."""
    inner = [_tidy(number, 4) for number in numbers[1:-1]]
    found = [numbers[0], *inner, numbers[-1]]
    rises = all(one < other for one, other in pairwise(found))
    return found if rises else numbers


def _spread(items: Sequence[Any], number: int) -> list[Any]:
    """Return so many of some items, evenly apart, the first and the last among them."""
    if number >= len(items):
        return list(items)
    return [items[round(k * (len(items) - 1) / (number - 1))] for k in range(number)]


def _differences_are_equal(numbers: list[Any]) -> bool:
    steps = [other - one for one, other in pairwise(numbers)]
    return bool(max(steps) - min(steps) <= 1e-9 * max(map(abs, steps)))
