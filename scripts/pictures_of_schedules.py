"""Draws all schedules into one contact sheet, docs/images/schedules/all.png.

What a schedule does by itself is drawn as `optbench show` draws it, without training. Those that
react to the run are drawn from short runs on digits, each from a learning rate that is 30 times
too small.

    python scripts/pictures_of_schedules.py [--out FILE.png] [--quick]
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from common import parser, start, succeeded, train
from optbench import compose
from optbench.assemble.curves import curves_of
from optbench.plots import png

OUT = Path(__file__).parents[1] / "docs" / "images" / "schedules" / "all.png"
RUN = ["optimizer=sgd", "optimizer.momentum=0.9", "optimizer.lr=1", "epochs=20"]
SHOWN: dict[str, list[str]] = {
    "constant": ["schedule=constant"],
    "step": ["schedule=step", "schedule.step_size=5ep", "schedule.gamma=0.5"],
    "multistep": ["schedule=multistep"],
    "exponential": ["schedule=exponential", "schedule.gamma=0.8"],
    "linear": ["schedule=linear"],
    "polynomial, power 2": ["schedule=polynomial", "schedule.power=2"],
    "cosine": ["schedule=cosine"],
    "cosine, warmup 10%": ["schedule=cosine", "schedule.warmup_steps=10%"],
    "cosine_restarts": ["schedule=cosine_restarts", "schedule.t_0=3ep", "schedule.t_mult=2"],
    "cyclic, triangular2": ["schedule=cyclic", "schedule.mode=triangular2"],
    "one_cycle": ["schedule=one_cycle"],
    "inverse_sqrt, warmup 10%": ["schedule=inverse_sqrt", "schedule.warmup_steps=10%"],
    "nesterov, lr and momentum": [
        "schedule=nesterov",
        "schedule.offset=30",
        "momentum_schedule={schedule: nesterov, offset: 30, from: 0, to: 0.99}",
    ],
    "wsd, warmup 10%": ["schedule=wsd", "schedule.warmup_steps=10%"],
    "chain of restarts": [
        "schedule=chain",
        "schedule.parts=[{schedule: cosine, for: 50%}, {schedule: cosine, for: 25%, scale: 0.5},"
        " {schedule: linear, scale: 0.25}]",
    ],
    "torch: warm restarts": [
        "schedule=torch",
        "schedule.scheduler=CosineAnnealingWarmRestarts",
        "schedule.arguments={T_0: 5ep, eta_min: 0.2}",
    ],
}
TRAINED: dict[str, list[str]] = {
    "plateau (a run)": [
        "schedule=plateau",
        "schedule.patience=0",
        "schedule.factor=0.5",
        "schedule.threshold=0.03",
        "optimizer.lr=0.3",
    ],
    "auto_grad_norm (a run)": ["schedule=auto_grad_norm"],
    "auto_loss (a run)": ["schedule=auto_loss"],
    "hypergradient (a run)": ["schedule=hypergradient"],
}


def shown(title: str, overrides: list[str]) -> png.Picture:
    """The learning rate, and the momentum if it moves, before any training."""
    curves = curves_of(compose(*RUN, *overrides).config)
    series = {**curves.rates, **curves.others}
    return png.Picture({k: (curves.steps, v) for k, v in series.items()}, title)


def trained(title: str, overrides: list[str], epochs: int) -> png.Picture:
    """The learning rate over a run that starts 30 times too low."""
    with tempfile.TemporaryDirectory() as folder:
        lines = ["optimizer=sgd", "optimizer.lr=0.00333", f"epochs={epochs}", "monitor.every=1"]
        (run,) = succeeded(train(*lines, "threads=1", *overrides, folder=Path(folder, "run")))
        found = [(r["step"], r["lr/model"]) for r in run.records() if "lr/model" in r]
    steps, rates = zip(*found, strict=True)
    return png.Picture({"lr": (steps, rates)}, title, log_y="plateau" not in title)


def draw(out: Path, epochs: int) -> None:
    """The sheet; with the epochs of the runs."""
    pictures = [shown(title, said) for title, said in SHOWN.items()]
    pictures += [trained(title, said, epochs) for title, said in TRAINED.items()]
    png.save_sheet(out, pictures, columns=4, size=(2.7, 1.8), dpi=100)
    print(f"{out}: {out.stat().st_size / 1000:.0f} kB")


def main() -> None:
    """Draws the sheet."""
    options = parser(__doc__)
    options.add_argument("--out", type=Path, help=f"{OUT} by default; a --quick one is thrown away")
    asked = options.parse_args()
    if asked.quick:
        with tempfile.TemporaryDirectory() as folder:
            draw(asked.out or Path(folder, "all.png"), epochs=1)
    else:
        draw(asked.out or OUT, epochs=20)


if __name__ == "__main__":
    start(main)
