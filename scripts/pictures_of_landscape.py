"""Draw docs/images/landscape*.png, and print the tables of docs/results/landscape.md.

    python scripts/pictures_of_landscape.py [--quick]

It trains MLPs on the digits that scikit-learn has, some minutes on a CPU: one whose path and
landscape are drawn; five seeds at each of five learning rates, whose sharpness is held against lr
and test accuracy; pairs of runs that part at a step, with the barrier between their ends.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, stdev

import matplotlib
import torch
from scipy.stats import kendalltau

from common import machine_line, parser, start, succeeded, train
from optbench import Callback
from optbench.instruments.base import Measurement
from optbench.instruments.drawing import Curves
from optbench.instruments.interpolation import Interpolation
from optbench.instruments.landscape import Landscape
from optbench.instruments.look import Look
from optbench.instruments.next_updates import Updates
from optbench.instruments.path import Path as Way
from optbench.instruments.plane import Plane
from optbench.instruments.points import Point, State, here
from optbench.instruments.sharpness import Sharpness
from optbench.training.trainer import Trainer

matplotlib.use("Agg")
import matplotlib.pyplot as plt

IMAGES = Path(__file__).parents[1] / "docs" / "images"
RUN = [
    "model=mlp",
    "dataset=digits",
    "optimizer=sgd",
    "dataset.split_seed=0",
    "threads=1",
    "device=cpu",
    "checkpoint=none",
    "monitor.tensorboard=false",
]
LRS = (0.01, 0.03, 0.1, 0.3, 1.0)
SENSES = ["sam", "sam/first_order", "adaptive", "average", "average_adaptive", "filter_normalised"]


@dataclass
class Watch(Callback):
    """Notes where the run is, and measures at its end.

    Attributes:
        steps: of the run.
        every: steps between notes; 0 for the end alone.
        measures: what is done at the end, by name.
        begin: where the run begins, if not where its own seed says.
        points: what was noted, the start first.
        found: what was measured.
        accuracy: on the test set.
    """

    steps: int
    every: int = 0
    measures: dict[str, Callable[[Look, Sequence[Point]], Measurement]] = field(
        default_factory=dict
    )
    begin: State | None = None
    points: list[Point] = field(default_factory=list)
    found: dict[str, Measurement] = field(default_factory=dict)
    accuracy: float = math.nan

    def on_start(self, trainer: Trainer) -> None:
        """Put the run where it is to begin."""
        if self.begin is not None:
            Look(trainer).module.load_state_dict(self.begin)
        self.points.append(here(Look(trainer)))

    def on_step_end(self, trainer: Trainer, step: int) -> None:
        """Note a point; measure after the last step."""
        if step == self.steps or (self.every and step % self.every == 0):
            self.points.append(here(Look(trainer)))
        if step == self.steps:
            look = Look(trainer)
            self.found = {name: what(look, self.points) for name, what in self.measures.items()}


def run(watch: Watch, *overrides: str) -> Watch:
    """A run, watched."""
    with tempfile.TemporaryDirectory() as base:
        lines = [*RUN, f"steps={watch.steps}", f"eval.every={watch.steps}", *overrides]
        (done,) = succeeded(train(*lines, folder=Path(base, "run"), callbacks=[watch]))
        watch.accuracy = done.summary["final"]["test/accuracy"]
    return watch


def one_run(steps: int, grid: int) -> dict[str, Measurement]:
    """A run with momentum: its landscape at the end, its path."""
    watch = Watch(
        steps,
        max(1, steps // 40),
        {
            "landscape": lambda look, _: Landscape(grid=grid, points=41).measure(look),
            "plane": lambda look, points: Plane(grid=grid).measure_along(look, points),
            "path": lambda look, points: Way().measure_along(look, points),
            "updates": lambda look, _: Updates(steps=20).measure(look),
        },
    )
    return run(watch, "optimizer.lr=0.03", "optimizer.momentum=0.9", f"steps={steps + 20}").found


def draw(found: dict[str, Measurement], path: Path) -> None:
    """All pictures of a run in one."""
    drawn = [draw for each in found.values() for draw in each.pictures.values()]
    figure, axes = plt.subplots(2, 3, figsize=(15, 8.4), layout="constrained")
    for each, picture in zip(axes.flat, drawn, strict=True):
        picture(each)
    figure.savefig(path, dpi=90)


def sharpness(lrs: Sequence[float], seeds: int, steps: int) -> list[dict[str, float]]:
    """A row for each run: lr, seed, sharpness in each sense, accuracy."""
    rows = []
    for lr in lrs:
        for seed in range(seeds):
            watch = Watch(
                steps,
                0,
                {
                    "sharpness": lambda look, _: Sharpness().measure(look),
                    "path": lambda look, points: Way().measure_along(look, points),
                },
            )
            run(watch, f"optimizer.lr={lr}", f"seed={seed}")
            values = {k: v for each in watch.found.values() for k, v in each.values.items()}
            rows.append({"lr": lr, "seed": seed, "accuracy": watch.accuracy, **values})
    return rows


def tell_sharpness(rows: Sequence[dict[str, float]]) -> None:
    """Print means by lr, and rank correlations."""
    senses = [f"sharpness/{name}" for name in SENSES]
    keys = ["sharpness/loss", *senses, "accuracy"]
    print("| lr | " + " | ".join(key.removeprefix("sharpness/") for key in keys) + " |")
    print("| --- " * (len(keys) + 1) + "|")
    for lr in dict.fromkeys(row["lr"] for row in rows):
        own = [row for row in rows if row["lr"] == lr]
        cells = [_mean([row[key] for row in own]) for key in keys]
        print(f"| {lr:g} | " + " | ".join(cells) + " |")
    print("\n| sense | tau with lr | tau with accuracy | the same within an lr, mean |")
    print("| --- | --- | --- | --- |")
    for name in SENSES:
        values = [row[f"sharpness/{name}"] for row in rows]
        by_lr = _tau(values, [row["lr"] for row in rows])
        by_accuracy = _tau(values, [row["accuracy"] for row in rows])
        inside = []
        for lr in dict.fromkeys(row["lr"] for row in rows):
            own = [row for row in rows if row["lr"] == lr]
            inside.append(_tau([r[f"sharpness/{name}"] for r in own], [r["accuracy"] for r in own]))
        known = [each for each in inside if math.isfinite(each)]
        within = f"{fmean(known):+.2f}" if known else "-"
        print(f"| {name} | {by_lr:+.2f} | {by_accuracy:+.2f} | {within} |")


def draw_sharpness(rows: Sequence[dict[str, float]], path: Path) -> None:
    """Sharpness over lr, and over accuracy, a dot a run."""
    figure, axes = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
    for name in ("sam", "adaptive", "average", "filter_normalised"):
        ys = [row[f"sharpness/{name}"] for row in rows]
        axes[0].plot([row["lr"] for row in rows], ys, "o", markersize=4, label=name)
        axes[1].plot([100 * row["accuracy"] for row in rows], ys, "o", markersize=4, label=name)
    axes[0].set_xscale("log")
    axes[0].set_xlabel("lr")
    axes[1].set_xlabel("test accuracy, %")
    for each in axes:
        each.set_yscale("log")
        each.set_ylabel("rise of the loss")
        each.grid(True, linewidth=0.4, alpha=0.5)
    axes[0].legend(fontsize="small")
    figure.savefig(path, dpi=100)


def barriers(
    lr: float, parting: Sequence[int], pairs: int, steps: int
) -> dict[str, list[Measurement]]:
    """By where two runs part, the lines between their ends; runs of two seeds last."""
    found: dict[str, list[Measurement]] = {}
    for pair in range(pairs):
        seeds = 10 * pair + 1, 10 * pair + 2
        parent = run(Watch(steps, 1), f"optimizer.lr={lr}", f"seed={10 * pair}")
        for at in parting:
            begin = parent.points[at].state
            found.setdefault(str(at), []).append(_line(lr, seeds, steps - at, begin))
        found.setdefault("other start", []).append(_line(lr, seeds, steps, None))
    return found


def _line(lr: float, seeds: tuple[int, int], steps: int, begin: State | None) -> Measurement:
    one = run(Watch(steps, begin=begin), f"optimizer.lr={lr}", f"seed={seeds[0]}")
    measure = {
        "line": lambda look, _: Interpolation(examples=None).measure_along(look, one.points[-1:])
    }
    other = Watch(steps, measures=measure, begin=begin)
    return run(other, f"optimizer.lr={lr}", f"seed={seeds[1]}").found["line"]


def tell_barriers(lr: float, found: dict[str, list[Measurement]]) -> None:
    """Print a row for each way to part."""
    print(f"\n| lr {lr:g}, part at step | barrier | losses at the ends | distance |")
    print("| --- | --- | --- | --- |")
    for name, lines in found.items():
        key = ("barrier", "here", "there", "distance")
        values = [[line.values[f"interpolation/{k}"] for line in lines] for k in key]
        ends = _mean([*values[1], *values[2]])
        cells = [" ".join(f"{v:.3g}" for v in values[0]), ends, _mean(values[3])]
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def draw_barriers(found: dict[str, list[Measurement]], path: Path) -> None:
    """The first pair's lines."""
    figure, axes = plt.subplots(figsize=(6.4, 3.8), layout="constrained")
    series = {
        (f"part at step {name}" if name.isdigit() else name): lines[0].tables["losses"]
        for name, lines in found.items()
    }
    shares = next(iter(found.values()))[0].tables["shares"]
    Curves(shares, series, "between the ends of two runs", "share of the way", "loss", True)(axes)
    figure.savefig(path, dpi=100)


def _tau(xs: Sequence[float], ys: Sequence[float]) -> float:
    return float(kendalltau(xs, ys).statistic)


def _mean(values: Sequence[float]) -> str:
    if len(values) < 2:
        return f"{values[0]:.3g}"
    return f"{fmean(values):.3g} ± {stdev(values):.1g}"


def main() -> None:
    """Trains, draws and prints."""
    given = parser(__doc__).parse_args()
    torch.set_num_threads(1)
    quick = given.quick
    with tempfile.TemporaryDirectory() as base:
        images = Path(base) if quick else IMAGES
        print(machine_line(), flush=True)
        found = one_run(20 if quick else 400, 5 if quick else 25)
        for name, each in found.items():
            print(f"\n{name}: " + ", ".join(f"{k} {v:.4g}" for k, v in each.values.items()))
            print(*each.notes, sep="\n", flush=True)
        draw(found, images / "landscape.png")
        rows = sharpness(LRS[-2:] if quick else LRS, 2 if quick else 5, 10 if quick else 2000)
        tell_sharpness(rows)
        draw_sharpness(rows, images / "landscape-sharpness.png")
        for lr, parting in ((0.1, (0, 5, 10, 20, 50, 100, 200)), (1.0, (0, 50, 200))):
            at = parting[:2] if quick else parting
            steps = 60 if quick else 600
            lines = barriers(lr, at, 1 if quick else 3, steps)
            tell_barriers(lr, lines)
            draw_barriers(lines, images / f"landscape-barriers-{lr:g}.png")


if __name__ == "__main__":
    start(main)
