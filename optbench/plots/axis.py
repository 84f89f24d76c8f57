"""The axis of a key that is searched: its own scale, and ticks that say values of the key."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

LINEAR, LOG, ONE_MINUS, CHOICE = "linear", "log", "one_minus", "choice"
MOST_TICKS = 6
MOST_CHOICES = 12
"""Of a list all have a tick up to here, beyond it some."""
LONGEST = 18
"""Letters of a choice's tick."""
LETTERS = 32
"""Letters of all ticks together that stand side by side in a third of the width; if there are more
they are turned."""
NAME = 84
"""Letters of a key's name in the whole width."""
PAD = 0.05
"""Of an axis beyond either end."""
ASIDE = 0.6
"""Of an axis of choices or of whole numbers, at least: trials with the same value lie aside."""


@dataclass(frozen=True)
class Axis:
    """Where the values of a key lie.

    Attributes:
        name: the key.
        kind: `linear`, `log`, `one_minus` (momentum: 1 - value is logarithmic) or `choice`.
        low, high: the ends of the range, both places; see `place`. Of a choice they follow from it.
        whole: whether the values are whole numbers.
        labels: of a choice, what its values are called; a value is its index.
    """

    name: str
    kind: str
    low: float = 0.0
    high: float = 1.0
    whole: bool = False
    labels: Sequence[str] = ()

    def place(self, value: float) -> float:
        """Return what stands for a value: itself, or 1 - value."""
        return 1 - value if self.kind == ONE_MINUS else value

    @property
    def ends(self) -> tuple[float, float]:
        """Return where the axis begins and ends, a little beyond the range."""
        if self.kind == CHOICE:
            return -ASIDE, len(self.labels) - 1 + ASIDE
        if self.kind == LINEAR:
            pad = PAD * (self.high - self.low) or abs(self.low) / 2 or 1.0
            pad = max(pad, ASIDE) if self.whole else pad
            return self.low - pad, self.high + pad
        pad = (self.high / self.low) ** PAD if self.high > self.low else 2.0
        ends = self.low / pad, self.high * pad
        return (ends[1], ends[0]) if self.kind == ONE_MINUS else ends

    def ticks(self, most: int = MOST_TICKS) -> tuple[list[float], list[str]]:
        """Return where ticks are and what they say; those of a linear axis are matplotlib's."""
        if self.kind == CHOICE:
            every = math.ceil(len(self.labels) / MOST_CHOICES)
            at = range(0, len(self.labels), every)
            return [float(n) for n in at], [_cut(self.labels[n]) for n in at]
        places = log_ticks(self.low, self.high, most)
        if self.kind == ONE_MINUS:
            return places, [f"{1 - place:.10g}" for place in places]
        return places, [number(place) for place in places]

    def put(self, axes: Any, columns: int = 1) -> None:
        """Make it the x axis of matplotlib's axes, of which so many stand side by side."""
        if self.kind in (LOG, ONE_MINUS):
            axes.set_xscale("log")
        axes.set_xlim(*self.ends)
        if self.kind == LINEAR:
            axes.locator_params(axis="x", nbins=MOST_TICKS + 2 * self.whole, integer=self.whole)
        else:
            places, texts = self.ticks(MOST_TICKS if columns > 1 else 2 * MOST_TICKS)
            turned = sum(map(len, texts)) > LETTERS * 3 / columns
            more = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"} if turned else {}
            axes.set_xticks(places, texts, parse_math=False, **more)
            axes.minorticks_off()
        most = NAME // columns
        name = self.name if len(self.name) <= most else f"…{self.name[1 - most :].lstrip('.')}"
        axes.set_xlabel(name, parse_math=False)


def log_ticks(low: float, high: float, most: int = MOST_TICKS) -> list[float]:
    """Return round numbers from `low` to `high`, both positive, for a logarithmic axis.

    Example:
        >>> log_ticks(0.02, 0.5), log_ticks(1e-4, 1e-2)
        ([0.02, 0.05, 0.1, 0.2, 0.5], [0.0001, 0.001, 0.01])
    """
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    tens = _within([_times(1, k) for k in decades], low, high)
    if len(tens) > 2:
        return tens[:: math.ceil(len(tens) / most)]
    finer = _within([_times(n, k) for k in decades for n in (1, 2, 5)], low, high)
    if len(finer) > most:
        finer = _within([_times(n, k) for k in decades for n in (1, 3)], low, high)
    if len(finer) > 1:
        return finer
    return sorted({float(f"{end:.3g}") for end in (low, math.sqrt(low * high), high)})


def _times(n: int, power: int) -> float:
    return float(f"{n}e{power}")


def _within(numbers: Sequence[float], low: float, high: float) -> list[float]:
    return [n for n in numbers if low * (1 - 1e-9) <= n <= high * (1 + 1e-9)]


def number(value: float) -> str:
    """Return a number as short as it is typed.

    Example:
        >>> number(0.0001), number(0.02), number(3e7)
        ('1e-4', '0.02', '3e7')
    """
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:.5g}"
    digits, _, power = f"{value:.2e}".partition("e")
    return f"{digits.rstrip('0').rstrip('.')}e{int(power)}"


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
