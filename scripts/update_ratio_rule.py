"""Where is the update ratio of 1e-3? Ratio against learning rate against final accuracy.

    python scripts/update_ratio_rule.py [--seeds 3] [--epochs 20 100] [--out PICTURE] [--quick]

An MLP on the digits, three optimizers, twelve learning rates each, constant from the first step to
the last. Of each run: the median of `update_ratio/total` over its monitored steps, of its first and
of its last tenth, of each weight matrix and of the biases, and the accuracy on the validation set
at the end. It prints what docs/results/update_ratio.md says and draws
docs/images/update-ratio.png; minutes on a CPU.
"""

from __future__ import annotations

import math
import statistics
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib

from common import machine_line, parser, start, sweep
from optbench import RunResult

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

IMAGE = Path(__file__).parents[1] / "docs" / "images" / "update-ratio.png"
GOOD = 0.01
"""How far below the best mean accuracy a learning rate is as good."""

RULE = 1e-3
OPTIMIZERS: Mapping[str, tuple[list[str], tuple[float, float]]] = {
    "sgd": (["optimizer=sgd"], (-3.0, 1.0)),
    "momentum 0.9": (["optimizer=sgd", "optimizer.momentum=0.9"], (-4.0, 0.5)),
    "adam": (["optimizer=adam"], (-5.0, -0.5)),
}
"""By name: what to train with, and the decades between which its learning rates lie."""

RATES = 12
WHEN = ("first", "ratio")
"""Of a point: the ratios that are held against the rule."""

RUN = ["model=mlp", "dataset=digits", "device=cpu", "threads=1", "checkpoint=none"]
RUN += ["monitor.every=2", "monitor.tensorboard=false", "eval.test=false", "eval.every=0"]


@dataclass(frozen=True)
class Point:
    """Means over the seeds of one optimizer at one learning rate.

    Attributes:
        ratio: geometric mean of the runs' medians of `update_ratio/total`.
        first, last: the same, of a run's first and last tenth.
        weights, biases: the same, of single weight matrices and biases, least and greatest.
        accuracy: on the validation set at the end; 0 of a run that diverged.
        spread: standard deviation of it.
    """

    lr: float
    ratio: float
    first: float
    last: float
    weights: tuple[float, float]
    biases: tuple[float, float]
    accuracy: float
    spread: float


Found = Mapping[str, Sequence[Point]]
"""Points by optimizer."""


def rates(low: float, high: float, count: int) -> list[float]:
    """Learning rates evenly in their logarithm, rounded to three digits."""
    return [float(f"{10 ** (low + (high - low) * i / (count - 1)):.3g}") for i in range(count)]


def point(lr: float, results: Sequence[RunResult]) -> Point:
    """What the runs of one learning rate say."""
    seen = [_ratios(result) for result in results]
    scores = [0.0 if r.state == "diverged" else r.metrics["val/accuracy"] for r in results]
    totals = [each["update_ratio/total"] for each in seen]
    by_tag = {
        tag: _middle(statistics.median(each[tag]) for each in seen)
        for tag in seen[0]
        if tag != "update_ratio/total" and all(tag in each for each in seen)
    }
    weights = [v for tag, v in by_tag.items() if tag.endswith("weight")]
    biases = [v for tag, v in by_tag.items() if tag.endswith("bias")]
    tenth = [max(1, len(each) // 10) for each in totals]
    return Point(
        lr,
        ratio=_middle(statistics.median(each) for each in totals),
        first=_middle(statistics.median(t[:n]) for t, n in zip(totals, tenth, strict=True)),
        last=_middle(statistics.median(t[-n:]) for t, n in zip(totals, tenth, strict=True)),
        weights=(min(weights), max(weights)),
        biases=(min(biases), max(biases)),
        accuracy=statistics.mean(scores),
        spread=statistics.stdev(scores) if len(scores) > 1 else 0.0,
    )


def _ratios(result: RunResult) -> dict[str, list[float]]:
    """The update ratios of a run by tag, where they are numbers."""
    found: dict[str, list[float]] = {}
    for record in result.run.records():
        for tag, value in record.items():
            if tag.startswith("update_ratio/") and math.isfinite(value):
                found.setdefault(tag, []).append(value)
    return found


def _middle(values: Iterable[float]) -> float:
    """The geometric mean of what may be 0, as where every unit is dead."""
    return math.exp(statistics.mean(math.log(max(value, 1e-12)) for value in values))


def measured(seeds: int, epochs: int, count: int) -> dict[str, list[Point]]:
    """Trains everything."""
    found: dict[str, list[Point]] = {}
    for name, (words, (low, high)) in OPTIMIZERS.items():
        found[name] = []
        for lr in rates(low, high, count):
            said = [f"optimizer.lr={lr}", f"epochs={epochs}"]
            said.append(f"seed={','.join(map(str, range(seeds)))}")
            with tempfile.TemporaryDirectory() as base:
                results = sweep(*RUN, *words, *said, folder=Path(base, "sweep"))
                found[name].append(point(lr, results))
            print(_row(name, found[name][-1]), flush=True)
    return found


def _row(name: str, p: Point) -> str:
    ranges = [f"{low:.1e} to {high:.1e}" for low, high in (p.weights, p.biases)]
    cells = [name, f"{p.lr:.3g}", f"{p.ratio:.1e}", f"{p.first:.1e}", f"{p.last:.1e}", *ranges]
    return f"| {' | '.join(cells)} | {p.accuracy:.3f} ± {p.spread:.3f} |"


def good(points: Sequence[Point]) -> list[Point]:
    """Those that are as good as the best."""
    best = max(each.accuracy for each in points)
    return [each for each in points if each.accuracy >= best - GOOD]


def at_rule(points: Sequence[Point], when: str) -> str:
    """What accuracy the rule gives: at the learning rate whose ratio is nearest to it.

    Beyond the largest good one ratios say nothing: what no longer learns moves little.
    """
    most = max(each.lr for each in good(points))
    steady = [each for each in points if each.lr <= most]
    nearest = min(steady, key=lambda each: abs(math.log(getattr(each, when) / RULE)))
    return f"lr {nearest.lr:.3g}: {nearest.accuracy:.3f}"


def say(found: Found) -> None:
    """The answer in numbers."""
    of = "of runs within 1 % of the best"
    print("\n| optimizer | best lr | its ratio: first tenth, median, last tenth |", end="")
    print(f" first tenth {of} | median {of} |", end="")
    print(" first tenth nearest to 1e-3 | median nearest to 1e-3 |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, points in found.items():
        best = max(points, key=lambda each: each.accuracy)
        cells = [name, f"{best.lr:.3g} ({best.accuracy:.3f})"]
        cells.append(f"{best.first:.1e}, {best.ratio:.1e}, {best.last:.1e}")
        for when in WHEN:
            ratios = [getattr(each, when) for each in good(points)]
            cells.append(f"{min(ratios):.1e} to {max(ratios):.1e}")
        cells += [at_rule(points, when) for when in WHEN]
        print(f"| {' | '.join(cells)} |")


def draw(lengths: Mapping[int, Found], to: Path) -> None:
    """Ratio over learning rate, and accuracy over ratio, a row of both for each length."""
    figure, rows = plt.subplots(
        len(lengths), 2, figsize=(9, 3.4 * len(lengths)), layout="constrained", squeeze=False
    )
    for (epochs, found), (left, right) in zip(lengths.items(), rows, strict=True):
        for name, points in found.items():
            _draw_one(left, right, name, points)
        left.axhline(RULE, color="0.5", linestyle="--", linewidth=0.8)
        right.axvline(RULE, color="0.5", linestyle="--", linewidth=0.8)
        left.set(xscale="log", yscale="log", xlabel="lr", ylabel="update_ratio/total")
        left.set_ylim(1e-5, 1)
        left.set_title(f"{epochs} epochs; circled: within {100 * GOOD:g} % of the best", size=9)
        right.set_title("filled: by the first tenth; hollow: by the median", size=9)
        right.set(xscale="log", xlabel="update_ratio/total", ylabel="val/accuracy at the end")
        right.set_xlim(1e-5, 1)
    left.legend(fontsize=8, title="first tenth; dotted: median", title_fontsize=8)
    figure.savefig(to, dpi=110)


def _draw_one(left: Axes, right: Axes, name: str, points: Sequence[Point]) -> None:
    """The first tenth's ratio as a line, the whole run's median dotted."""
    lrs = [p.lr for p in points]
    (line,) = left.plot(lrs, [p.first for p in points], marker=".", label=name)
    color = line.get_color()
    left.plot(lrs, [p.ratio for p in points], ":", color=color)
    best = good(points)
    left.plot([p.lr for p in best], [p.first for p in best], "o", mfc="none", color=color)
    for when, face in (("first", color), ("ratio", "none")):
        ratios, scores = [getattr(p, when) for p in points], [p.accuracy for p in points]
        spreads = [p.spread for p in points]
        right.errorbar(ratios, scores, spreads, fmt="o", ms=4, mfc=face, lw=0.8, color=color)


def main() -> None:
    """Trains, prints and draws."""
    asked = parser(__doc__)
    asked.add_argument("--seeds", type=int, default=3)
    asked.add_argument("--epochs", type=int, nargs="+", default=[20, 100])
    asked.add_argument("--out", type=Path, help=f"{IMAGE} by default; a --quick one is thrown away")
    given = asked.parse_args()
    print(machine_line())
    seeds, count = (1, 2) if given.quick else (given.seeds, RATES)
    lengths = {}
    for epochs in [1] if given.quick else given.epochs:
        print(f"\n{epochs} epochs\n")
        print("| optimizer | lr | ratio | first tenth | last tenth | weights | biases | accuracy |")
        print("| --- | --- | --- | --- | --- | --- | --- | --- |", flush=True)
        lengths[epochs] = measured(seeds, epochs, count)
        say(lengths[epochs])
    with tempfile.TemporaryDirectory() as base:
        draw(lengths, given.out or (Path(base, IMAGE.name) if given.quick else IMAGE))


if __name__ == "__main__":
    start(main)
