"""Draw docs/images/progressive.png: the loss where Adam hands over to SGD, by three rates.

    OPTBENCH_DATA=FOLDER python scripts/pictures_of_progressive.py [--quick]

It trains 2c2d on Fashion-MNIST for 180 steps, half of them Adam's, some minutes on a CPU; with
`--quick` a small MLP on the digits.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import matplotlib

from common import parser, start, succeeded, train

matplotlib.use("Agg")
import matplotlib.pyplot as plt

IMAGE = Path(__file__).parents[1] / "docs" / "images" / "progressive.png"
ADAM = "{optimizer: adam, until: 50%}"
STAGES = {
    "lr: matched": "{optimizer: sgd, momentum: 0.9, lr: matched, keep: momentum}",
    "lr: swats": "{optimizer: sgd, momentum: 0.9, lr: swats, keep: momentum}",
    "Adam alone": "{optimizer: adam, lr: 2.51e-4, keep: [momentum, squares]}",
}


def losses(words: list[str], stage: str, folder: Path) -> tuple[list[int], list[float]]:
    """Steps and the training's losses of a run with this second stage."""
    stages = f"optimizer.stages=[{ADAM}, {stage}]"
    (run,) = succeeded(train("optimizer=progressive", stages, *words, folder=folder))
    records = [each for each in run.records() if each["kind"] == "train"]
    return [each["step"] for each in records], [each["train/loss"] for each in records]


def main() -> None:
    """Trains and draws."""
    asked = parser(__doc__)
    asked.add_argument("--out", type=Path, help=f"{IMAGE} by default; a --quick one is thrown away")
    given = asked.parse_args()
    words = ["monitor.every=6", "monitor.tensorboard=false", "checkpoint=none", "eval.test=false"]
    words += ["optimizer.lr=2.51e-4", "seed=1", f"steps={18 if given.quick else 180}"]
    words += ["dataset=digits"] if given.quick else ["workload=fmnist_2c2d"]
    figure, axes = plt.subplots(figsize=(7, 3.6), layout="constrained")
    with tempfile.TemporaryDirectory() as base:
        for number, (name, stage) in enumerate(STAGES.items()):
            steps, values = losses(words, stage, Path(base, str(number)))
            axes.plot(steps, values, label=name)
            print(name, " ".join(f"{value:.2f}" for value in values), flush=True)
        axes.axvline(9 if given.quick else 90, color="0.6", linewidth=0.8, linestyle="--")
        axes.set_yscale("log")
        axes.set_xlabel("step")
        axes.set_ylabel("train/loss")
        axes.legend()
        figure.savefig(given.out or (Path(base, IMAGE.name) if given.quick else IMAGE), dpi=110)


if __name__ == "__main__":
    start(main)
