"""Measure docs/results/edge_of_stability.md and draw docs/images/edge_of_stability.png.

    python scripts/edge_of_stability.py [--quick]

Full-batch gradient descent and Adam on a small network, each at two learning rates: the sharpness
at every 50th step, by `optbench probe`, beside the line above which steps are not stable. The
digits, squared error, tanh, 1,437 examples a step. Ten minutes on one core; with `--quick` a few
steps, and the picture is thrown away.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
from torch import Tensor
from torch.nn.functional import one_hot

import optbench
from common import machine_line, parser, start, succeeded, train

matplotlib.use("Agg")
import matplotlib.pyplot as plt

IMAGE = Path(__file__).parents[1] / "docs" / "images" / "edge_of_stability.png"
NETWORK = ["model=mlp", "model.hidden=[32,32]", "model.activation=tanh", "dataset=digits"]
FULL_BATCH = ["batch_size=1437", "dataset.val_fraction=0", "seed=1", "threads=1"]
LOSS = "task.loss._target_=edge_of_stability.squared_error"
RATES = {"sgd": (0.2, 0.133), "adam": (0.01, 0.005)}
STEPS, EVERY = {"sgd": 3000, "adam": 1500}, 50
NAMES = {"sgd": "gradient descent", "adam": "Adam"}
COLOURS = ("#0072b2", "#d55e00", "#009e73")


def squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """Half the squared distance from a 1 at the class and 0 elsewhere, the mean over examples."""
    wanted = one_hot(targets, outputs.shape[-1]).to(outputs)
    return 0.5 * (outputs - wanted).square().sum(-1).mean()


@dataclass(frozen=True)
class Curve:
    """The sharpness along one training; `line` is where its steps stop being stable."""

    rate: float
    steps: list[int]
    sharpness: list[float]
    line: float
    losses: list[tuple[int, float]]

    def reached(self) -> int | None:
        """The first step at which it is at the line, within 5 %."""
        pairs = zip(self.steps, self.sharpness, strict=True)
        return next((step for step, value in pairs if value >= 0.95 * self.line), None)

    def after(self) -> list[float]:
        """Sharpness over the line from there on."""
        first = self.reached()
        pairs = zip(self.steps, self.sharpness, strict=True)
        return (
            [] if first is None else [value / self.line for step, value in pairs if step >= first]
        )


def read(folder: Path) -> dict[str, Any]:
    """What a probing has written."""
    said: dict[str, Any] = json.loads((folder / "probe.json").read_text(encoding="utf-8"))
    return said


def measured(optimizer: str, rate: float, steps: int, every: int, folder: Path) -> Curve:
    """Trains, and probes all checkpoints; what is in the folder already is not done again."""
    words = [*NETWORK, *FULL_BATCH, LOSS, f"optimizer={optimizer}", f"optimizer.lr={rate}"]
    words += [f"steps={steps}", f"checkpoint.every={every}", "checkpoint.keep_last=100000"]
    words += [f"monitor.every={every}", "monitor.tensorboard=false", "eval.test=false"]
    if not (folder / "summary.json").is_file():
        succeeded(train(*words, folder=folder))
    run = optbench.open_run(folder)
    asked = ["instruments=stability", "examples=null", "chunk=2000", "stability.tolerance=1e-2"]
    written = folder.with_name(f"{folder.name}-probe")
    if not (written / "probe.json").is_file() or read(written)["interrupted"]:
        shutil.rmtree(written, ignore_errors=True)
        optbench.probe(folder, *asked, at="all", out=written)
    said = read(written)
    points = {each["step"]: each["values"] for each in said["instruments"]["stability"]["points"]}
    (line,) = {round(each["stability/line"], 6) for each in points.values()}
    records = [each for each in run.records() if each["kind"] == "train"]
    losses = [(each["step"], each["train/loss"]) for each in records]
    sharpness = [each["stability/sharpness"] for each in points.values()]
    return Curve(rate, [*points], sharpness, line, losses)


def row(optimizer: str, curve: Curve) -> str:
    """A row of the page's table."""
    first, after = curve.reached(), curve.after()
    rest = (
        f"{min(after):.3f} to {max(after):.3f}, mean {sum(after) / len(after):.3f}" if after else ""
    )
    return (
        f"| {NAMES[optimizer]} | {curve.rate:g} | {curve.line:.5g} | {curve.sharpness[0]:.4g} | "
        f"{'' if first is None else first} | {rest} | {curve.losses[-1][1]:.2g} |"
    )


def draw(curves: dict[str, list[Curve]], path: Path) -> None:
    """Sharpness over steps, an axes each; the lines are dashed in the curves' colours."""
    figure, axes = plt.subplots(1, len(curves), figsize=(9.5, 3.6), layout="constrained")
    for part, (optimizer, each) in zip(axes, curves.items(), strict=True):
        for curve, colour in zip(each, COLOURS, strict=False):
            label = f"lr {curve.rate:g}"
            part.plot(curve.steps, curve.sharpness, color=colour, linewidth=1.2, label=label)
            part.axhline(curve.line, color=colour, linewidth=0.9, linestyle="--")
        part.set_title(NAMES[optimizer], fontsize="medium")
        part.set_xlabel("step")
        part.legend(fontsize="small")
    axes[0].set_ylabel(r"largest eigenvalue of $H$; dashed: $2/lr$")
    axes[1].set_ylabel(r"largest eigenvalue of $P^{-1}H$; dashed: $38/lr$")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def table(curves: dict[str, list[Curve]]) -> Sequence[str]:
    """The page's table."""
    head = "| optimizer | lr | line | sharpness at step 50 | at the line from step "
    head += "| sharpness over line from there | loss at the end |"
    rows = [row(optimizer, curve) for optimizer, each in curves.items() for curve in each]
    return [head, "| --- " * 7 + "|", *rows]


def main() -> None:
    """Measures, prints the table, draws."""
    asked = parser(__doc__)
    asked.add_argument("--out", type=Path, help=f"{IMAGE} by default; a --quick one is thrown away")
    asked.add_argument("--runs", type=Path, help="a folder that keeps the runs")
    asked.add_argument("--only", choices=[*RATES], help="one optimizer's runs, and no picture")
    given = asked.parse_args()
    every = 2 if given.quick else EVERY
    curves: dict[str, list[Curve]] = {}
    with nullcontext(given.runs) if given.runs else tempfile.TemporaryDirectory() as base:
        for optimizer in [given.only] if given.only else RATES:
            for rate in RATES[optimizer][:1] if given.quick else RATES[optimizer]:
                folder = Path(base, f"{optimizer}-{rate}")
                steps = 4 if given.quick else STEPS[optimizer]
                curve = measured(optimizer, rate, steps, every, folder)
                curves.setdefault(optimizer, []).append(curve)
                print(row(optimizer, curve), flush=True)
        print(machine_line())
        print("\n".join(table(curves)))
        if not given.only:
            draw(curves, given.out or (Path(base, IMAGE.name) if given.quick else IMAGE))


if __name__ == "__main__":
    start(main)
