"""What a step costs more when gradient norms and update ratios of ResNet-18 are measured."""

from __future__ import annotations

from argparse import Namespace

import torch

import resnet
from runs import Stretches, build, scratch
from timing import CLOCKS, Row, alternate, beyond, estimate, print_rows

ROUNDS = 60
TARGET_PERCENT = 3.0


def section(arguments: Namespace) -> None:
    """Steps with and without, in turn, of one run: the difference is a monitored step's price."""
    torch.set_num_threads(arguments.threads)
    batch = resnet.batch_for(arguments.step_ms)
    rounds, warmup = (2, 1) if arguments.quick else (ROUNDS, 3)
    clock = "cpu" if arguments.threads == 1 else "wall"
    with scratch() as folder:
        job, experiment = build(resnet.overrides(batch, f"threads={arguments.threads}"))
        plain = Stretches(job, experiment, folder / "plain", monitor=0)
        watched = Stretches(job, experiment, folder / "watched", monitor=1)
        candidates = {"plain": lambda: _one(plain), "watched": lambda: _one(watched)}
        times = alternate(candidates, rounds, warmup, CLOCKS[clock])
        plain.close()
        watched.close()
    step, extra = estimate(times["plain"]), beyond(times, "watched", "plain")
    share = extra.times(100 / step.value)
    print_rows(
        f"monitoring: ResNet-18, batch {batch} of 32x32, {arguments.threads} thread(s), "
        f"62 parameters, with TensorBoard and JSONL; {rounds} steps of each; {clock} time",
        [
            Row("a step", step.times(1e3), "ms"),
            Row("what a monitored step takes longer", extra.times(1e3), "ms"),
            Row("monitoring every 10 steps", share.times(1 / 10), "%", TARGET_PERCENT),
            Row("monitoring every 50 steps", share.times(1 / 50), "%"),
        ],
    )


def _one(stretches: Stretches) -> None:
    stretches(1)
