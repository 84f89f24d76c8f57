"""The adding problem with gradients clipped and not, and an LSTM on the copy task.

    python scripts/adding_problem.py [--seeds 3] [--out docs/results/sequences.md] [--quick]

`workload=adding_rnn` as it stands and with changes, each run with several seeds.
"""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch

from common import parser, start, train
from optbench import Run

QUIET = ["device=cpu", "threads=1", "checkpoint=none", "monitor.tensorboard=false"]
QUICK = ["steps=4", "eval.every=2", "dataset.val_size=20", "dataset.test_size=20"]
QUIET += ["monitor.every=1", "monitor.per_parameter=false"]
WORKLOAD = ["workload=adding_rnn"]
MOMENTUM = ["optimizer=momentum", "optimizer.lr=0.01"]
RMSPROP = ["optimizer=rmsprop", "optimizer.alpha=0.9"]
TANH = ["model.nonlinearity=tanh", "model.recurrent_init=default"]
LSTM = ["dataset=adding", "model=lstm", "model.width=64", "steps=2000", "batch_size=50"]
LSTM += ["eval.every=250", "optimizer=adam"]
CLIPPING = ("clip.norm=1", "clip.norm=null")
ADDING = {
    "IRNN, adam, lr 1e-3": (WORKLOAD, CLIPPING),
    "IRNN, rmsprop, lr 1e-3": ([*WORKLOAD, *RMSPROP], CLIPPING),
    "IRNN, momentum 0.9, lr 1e-2": ([*WORKLOAD, *MOMENTUM], CLIPPING),
    "tanh, torch's initialisation, adam, lr 1e-3": ([*WORKLOAD, *TANH], CLIPPING[:1]),
    "LSTM of width 64, adam, lr 1e-3": (LSTM, CLIPPING[:1]),
}
"""By name: what is trained, and the clipping tried."""
COPY = [
    "dataset=copy",
    "dataset.length=10",
    "batch_size=50",
    "steps=4000",
    "eval.every=1000",
    "model=lstm",
    "model.width=128",
    "model.recurrent_init=orthogonal",
    "model.forget_bias=3",
    "optimizer=adam",
    "optimizer.lr=3e-3",
    "schedule=cosine",
    "clip.norm=1",
]


def run(folder: Path, *overrides: str) -> Run:
    """One run, which may diverge."""
    return train(*QUIET, *overrides, folder=folder).run


def largest_norm(runs: Sequence[Run]) -> float:
    """The largest gradient norm before clipping."""
    monitored = [r for run in runs for r in run.records() if r["kind"] == "monitor"]
    return max((r["grad_norm/total"] for r in monitored), default=float("nan"))


def ended(run: Run) -> str:
    """The last validation loss, or at which step there was none any more."""
    summary = run.summary
    if summary["state"] == "finished":
        return f"{summary['final']['val/loss']:.4f}"
    return f"{summary['state']} at step {summary['step']}"


def adding(seeds: int, work: Path, more: Sequence[str]) -> list[str]:
    """The adding problem, a row for each network, optimizer and clipping."""
    every = " | ".join(f"seed {seed}" for seed in range(seeds))
    lines = [f"| network and optimizer | clip.norm | {every} | largest gradient norm |"]
    lines.append("| --- " * (seeds + 3) + "|")
    for number, (name, (what, clips)) in enumerate(ADDING.items()):
        for clip in clips:
            found = [
                run(
                    work / f"{number}-{clips.index(clip)}-{seed}",
                    *what,
                    clip,
                    f"seed={seed}",
                    *more,
                )
                for seed in range(seeds)
            ]
            row = [name, clip.split("=")[1], *map(ended, found), f"{largest_norm(found):.2g}"]
            lines.append(f"| {' | '.join(row)} |")
            print(lines[-1], flush=True)
    return lines


def copying(seeds: int, work: Path, more: Sequence[str]) -> list[str]:
    """The copy task, a row for each seed."""
    lines = ["| seed | test accuracy | test loss | validation accuracy by the way |"]
    lines.append("| --- | --- | --- | --- |")
    for seed in range(seeds):
        trained = run(work / f"copy-{seed}", *COPY, f"seed={seed}", *more)
        final = trained.summary["final"]
        way = [r for r in trained.records() if r["kind"] == "val"]
        row = [str(seed), f"{final['test/accuracy']:.4f}", f"{final['test/loss']:.4f}"]
        row.append(", ".join(f"{r['val/accuracy']:.3f} at {r['step']}" for r in way))
        lines.append(f"| {' | '.join(row)} |")
        print(lines[-1], flush=True)
    return lines


PAGE = """\
# Made-up sequences, measured

`python scripts/adding_problem.py`; Python {python}, torch {torch}, one thread of a CPU.

## The adding problem, length 50

`workload=adding_rnn`: 2000 steps of 50 sequences, {seeds} seeds. Mean squared error on 2000
validation sequences after the last step; 0.167 (1/6) is what always answering 1 gives, and the
workload's target is 0.02. IRNN is a plain recurrent network with ReLU whose recurrent weights start
as the identity (Le et al. 2015), here of width 64. The gradient norm is that before clipping, the
largest of all steps and seeds.

{adding}

Nothing but clipping is between the two rows of an optimizer.

## The copy task

An LSTM has to say 10 symbols of 8 kinds again after 10 steps: {steps} steps of 50 sequences, Adam.
The loss of guessing is ln 8 = 2.079, accuracy 0.125.

    optbench train {copy}

{copying}
"""


def page(seeds: int, work: Path, more: Sequence[str]) -> str:
    """The whole page."""
    return PAGE.format(
        python=platform.python_version(),
        torch=torch.__version__.split("+")[0],
        seeds=seeds,
        adding="\n".join(adding(seeds, work, more)),
        steps=next(o.split("=")[1] for o in COPY if o.startswith("steps")),
        copy=" ".join(COPY),
        copying="\n".join(copying(seeds, work, more)),
    )


def main() -> None:
    """Writes the page."""
    options = parser(__doc__)
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument("--out", type=Path)
    asked = options.parse_args()
    seeds, more = (1, QUICK) if asked.quick else (asked.seeds, [])
    with tempfile.TemporaryDirectory() as work:
        text = page(seeds, Path(work), more)
    if asked.out:
        asked.out.write_text(text, encoding="utf-8")
        print(asked.out)
    else:
        print(text)


if __name__ == "__main__":
    start(main)
