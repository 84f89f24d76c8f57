"""How often the statistics are wrong: one optimizer against itself, and against a better one.

    python scripts/aa.py [--times 4000] [--out docs/results/aa.md] [--quick]

Results are drawn, not trained: normal, lognormal, in two heaps, and normal where one seed in five
fails. Each comparison goes through `optbench.statistics.compare_all`, as a user's would. It takes
some ten minutes of one core; most is for the intervals of 20 pairs and for eight optimizers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from common import parser, start
from optbench.statistics import Comparison, compare_all

Draw = Callable[[np.random.Generator, tuple[int, ...]], NDArray[np.float64]]


SEEDS = [6, 7, 8, 9, 10, 12, 15, 20]


def normal(random: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Results as in a textbook."""
    return random.normal(size=shape)


def lognormal(random: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Results with a long tail, as losses have."""
    return random.lognormal(size=shape)


def bimodal(random: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Results in two heaps: three in ten are worse by ten times what else tells them apart."""
    return random.normal(0.0, 0.1, shape) - (random.random(shape) < 0.3)


def failing(random: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Normal results, of which one in five is missing."""
    return np.where(random.random(shape) < 0.2, math.nan, random.normal(size=shape))


DRAWS: dict[str, Draw] = {
    "normal": normal,
    "lognormal": lognormal,
    "bimodal": bimodal,
    "one in five fails": failing,
}


def compared(draw: Draw, arms: int, seeds: int, times: int, shift: float = 0.0) -> list[Comparison]:
    """Compare optimizers whose results are drawn alike, the first one's better by `shift`.

    Args:
        shift: in standard deviations of a difference of two.
    """
    random = np.random.default_rng(seeds)
    sample = draw(random, (2, 100_000))
    deviation = float(np.nanstd(sample[0] - sample[1]))
    found = []
    for table in draw(random, (times, arms, seeds)):
        table[0] += shift * deviation
        results = {f"arm {a}": dict(enumerate(row.tolist())) for a, row in enumerate(table)}
        found.append(compare_all(results, higher_is_better=True))
    return found


def different(found: list[Comparison]) -> float:
    """The part in which any pair was called different."""
    return float(
        np.mean([any(v.outcome in ("better", "worse") for v in each.verdicts) for each in found])
    )


def false_winner(found: list[Comparison]) -> float:
    """The part in which the best's row has a win."""
    return float(np.mean([any(v.outcome == "better" for v in each.row) for each in found]))


def excludes_zero(found: list[Comparison]) -> float:
    """The part of single comparisons whose interval, whatever it is of, does without 0."""
    return float(np.mean([not v.low <= 0 <= v.high for each in found for v in each.verdicts]))


def covers(found: list[Comparison], shift: float) -> float:
    """The part of single comparisons whose interval holds the true difference."""
    return float(
        np.mean([each.verdicts[0].low <= shift <= each.verdicts[0].high for each in found])
    )


def itself(times: int, seeds: list[int]) -> list[str]:
    """The table of one optimizer against itself."""
    rows = [f"| seeds | {' | '.join(DRAWS)} |", "| --- |" + " --- |" * len(DRAWS)]
    for n in seeds:
        cells = []
        for draw in DRAWS.values():
            found = compared(draw, 2, n, times)
            weak = f" (t: {100 * excludes_zero(found):.1f})" if n < 6 else ""
            cells.append(f"{100 * different(found):.1f}{weak}")
        rows.append(f"| {n} | {' | '.join(cells)} |")
        print(rows[-1], flush=True)
    return rows


def eight(times: int, seeds: list[int]) -> list[str]:
    """The table of eight equal ones."""
    rows = [f"| seeds | {' | '.join(DRAWS)} |", "| --- |" + " --- |" * len(DRAWS)]
    for n in seeds:
        found = [compared(draw, 8, n, times) for draw in DRAWS.values()]
        cells = [f"{100 * false_winner(each):.1f} ({100 * different(each):.1f})" for each in found]
        rows.append(f"| {n} | {' | '.join(cells)} |")
        print(rows[-1], flush=True)
    return rows


def better(times: int, seeds: list[int]) -> list[str]:
    """The table of one that is better by a standard deviation of the differences."""
    rows = [
        "| seeds | results | called better | called worse | the interval has the difference |",
        "| --- | --- | --- | --- | --- |",
    ]
    for n in seeds:
        for name, draw in DRAWS.items():
            found = compared(draw, 2, n, times, shift=1.0)
            sample = draw(np.random.default_rng(n), (2, 100_000))
            outcomes = [each.verdict("arm 0", "arm 1").outcome for each in found]
            shares = [
                outcomes.count("better") / times,
                outcomes.count("worse") / times,
                covers(found, float(np.nanstd(sample[0] - sample[1]))),
            ]
            rows.append(f"| {n} | {name} | {' | '.join(f'{100 * s:.1f}' for s in shares)} |")
            print(rows[-1], flush=True)
    return rows


def main() -> None:
    """The tables."""
    options = parser(__doc__)
    options.add_argument("--times", type=int, default=4000, help="comparisons for each number")
    options.add_argument("--out", type=Path, help="a file for the tables")
    arguments = options.parse_args()
    times = 20 if arguments.quick else arguments.times
    lines = [
        "# One optimizer against itself",
        "",
        f"`python scripts/aa.py`: {times:,} simulated comparisons for each number, per cent, by",
        "`optbench.statistics.compare_all` at 95 %. `bimodal`: three results in ten are worse by",
        "ten times the others' deviation. What each number means: [statistics](../statistics.md).",
        "",
        "## Called different, though both are the same",
        "",
        "Below 6 seeds no verdict is given. In brackets: how often Student's interval, which is",
        "shown there as weak, does without 0.",
        "",
        *itself(times, [2, 3, 4, 5] + ([6, 7] if arguments.quick else SEEDS)),
        "",
        "## Eight equal optimizers: a false winner",
        "",
        "The best's row has a win. In brackets: any of the 28 pairs is called different. Below 11",
        "seeds none can be.",
        "",
        *eight(times, [6] if arguments.quick else [11, 12]),
        "",
        "## Better by one standard deviation of the paired differences",
        "",
        *better(times, [8] if arguments.quick else [8, 10, 20]),
        "",
        "Where results fail, a win has to bear the failures, which costs power: of 20 seeds both",
        "finish at 13, and in two comparisons of five the better one failed at more of them.",
    ]
    if arguments.out is not None:
        arguments.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    start(main)
