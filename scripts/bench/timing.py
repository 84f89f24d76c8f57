"""What the benchmarks share: alternated timing, medians, and a plain table of what was reached.

Times of single calls mean little on a machine that others use too. Candidates are therefore run in
turn, round after round, and compared within a round; medians over the rounds are what is printed.
Where a process does all its work on one core, its processor time says what it costs and does not
count the time in which it had to wait for others; it counts the work of helping threads instead.
"""

from __future__ import annotations

import gc
import math
import os
import platform
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from optbench.processor import processor

Candidate = Callable[[], float | None]
"""Something to be timed; it may return its seconds itself, where only a part of it counts."""

Clock = Callable[[], float]

Times = dict[str, list[float]]
"""Seconds by candidate, one entry a round."""


CLOCKS: dict[str, Clock] = {"wall": time.perf_counter, "cpu": time.process_time}
"""On the wall; of the processor, all threads of this process together."""


def alternate(
    candidates: Mapping[str, Candidate],
    rounds: int,
    warmup: int = 1,
    clock: Clock = time.perf_counter,
) -> Times:
    """Seconds of each candidate in each round, in an order of its own each.

    The order is drawn, equally in all processes: a candidate profits from what the one before it
    left in the processor's caches.

    Args:
        candidates: by name.
        rounds: that count.
        warmup: rounds before them, which do not.
        clock: one of CLOCKS.
    """
    times: Times = {name: [] for name in candidates}
    order = random.Random(0)
    for number in range(-warmup, rounds):
        gc.collect()
        for name in order.sample(list(candidates), len(candidates)):
            seconds = timed(candidates[name], clock)
            if number >= 0:
                times[name].append(seconds)
    return times


def timed(candidate: Candidate, clock: Clock = time.perf_counter) -> float:
    """Seconds of one call: what it says itself, else what the clock says."""
    start = clock()
    own = candidate()
    return clock() - start if own is None else own


@dataclass(frozen=True)
class Estimate:
    """A median, and half the distance between the quartiles around it: the noise."""

    value: float
    noise: float

    def times(self, factor: float) -> Estimate:
        """In another unit."""
        return Estimate(self.value * factor, self.noise * abs(factor))


def estimate(values: Sequence[float]) -> Estimate:
    """The median and the noise of some measurements."""
    if len(values) < 2:
        return Estimate(values[0], 0.0)
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return Estimate(middle, (high - low) / 2)


def beyond(times: Times, name: str, base: str) -> Estimate:
    """What a candidate takes longer than another, from their differences in each round."""
    return estimate([t - b for t, b in zip(times[name], times[base], strict=True)])


def ratio(times: Times, name: str, base: str) -> Estimate:
    """How many times as long a candidate takes as another, from their ratios in each round."""
    return estimate([t / b for t, b in zip(times[name], times[base], strict=True)])


def share_beyond(times: Times, name: str, peer: str, base: str) -> Estimate:
    """What a candidate takes longer than a base, as a share of what another does.

    Of medians, for in one round the other may be no slower than the base; without a noise.
    """
    over, theirs = beyond(times, name, base), beyond(times, peer, base)
    return Estimate(over.value / theirs.value, 0.0) if theirs.value > 0 else Estimate(math.nan, 0.0)


@dataclass(frozen=True)
class Row:
    """A line of a table.

    Attributes:
        what: was measured.
        reached: the measurement, in `unit`.
        unit: of the measurement and the target.
        target: it should not be more than this; None where there is no target.
    """

    what: str
    reached: Estimate
    unit: str
    target: float | None = None

    def cells(self) -> list[str]:
        """As texts."""
        target = "" if self.target is None else f"<= {self.target:g}"
        met = "" if self.target is None else "yes" if self.reached.value <= self.target else "NO"
        noise = f"+- {_number(self.reached.noise)}" if self.reached.noise else ""
        return [self.what, _number(self.reached.value), noise, self.unit, target, met]


HEADER = ["", "reached", "noise", "unit", "target", "met"]


def print_rows(title: str, rows: Sequence[Row]) -> None:
    """A table on standard output."""
    cells = [HEADER, *(row.cells() for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(HEADER))]
    print(f"\n{title}")
    for line in cells:
        left, *numbers = line
        aligned = [cell.rjust(w) for cell, w in zip(numbers[:2], widths[1:3], strict=True)]
        rest = [cell.ljust(w) for cell, w in zip(numbers[2:], widths[3:], strict=True)]
        print("  " + "  ".join([left.ljust(widths[0]), *aligned, *rest]).rstrip(), flush=True)


def _number(value: float) -> str:
    size = abs(value)
    return f"{value:.0f}" if size >= 100 else f"{value:.1f}" if size >= 10 else f"{value:.2f}"


def machine_line(*packages: str) -> str:
    """Versions, processor and how busy it is."""
    versions = [f"{name} {_version(name)}" for name in packages]
    load = os.getloadavg()[0]
    return ", ".join(
        [
            f"Python {platform.python_version()}",
            *versions,
            f"{os.cpu_count()} cores of {processor()}",
            f"load {load:.1f} at the start",
        ]
    )


def new_file_line(folder: Path, files: int = 100) -> str:
    """What it takes to make a file in a folder, of the processor."""
    begun = time.process_time()
    for number in range(files):
        (folder / f"new-{number}").touch()
    return f"{(time.process_time() - begun) / files * 1e3:.3f} ms for a new file"


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "is not installed"
