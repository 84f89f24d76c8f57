"""What a checkpoint costs: flushed, verified and renamed, against a bare torch.save."""

from __future__ import annotations

import os
import time
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import resnet
from optbench.training.checkpointer import Checkpointer, RunState
from runs import Stretches, build, scratch
from timing import Candidate, Row, alternate, estimate, print_rows, ratio

ROUNDS = 15
TARGET_RATIO = 1.3
PLAIN, FLUSHED = "torch.save", "torch.save and fsync"
ATOMIC, WAITS = "optbench's checkpoint", "async: what the training waits"


def section(arguments: Namespace) -> None:
    """ResNet-18 with Adam's state, saved in turn by each means."""
    rounds, warmup = (1, 0) if arguments.quick else (ROUNDS, 2)
    with scratch() as folder:
        spec, experiment = build(resnet.overrides(2, optimizer=["optimizer=adam"]))
        stretches = Stretches(spec, experiment, folder / "run", monitor=0)
        stretches(1)
        stretches.close()
        state = experiment.state
        candidates = {
            PLAIN: _settled(lambda: torch.save(state.shared(), folder / "plain.pt")),
            FLUSHED: _settled(lambda: _flushed(state.shared(), folder / "flushed.pt")),
            ATOMIC: _settled(_saver(Checkpointer(folder / "atomic", state), state)),
            WAITS: _waiting(Checkpointer(folder / "async", state, in_background=True), state),
        }
        times = alternate(candidates, rounds, warmup)
        size = (folder / "plain.pt").stat().st_size
    rows = [Row(name, estimate(t).times(1e3), "ms") for name, t in times.items()]
    rows.append(Row(f"{ATOMIC} to {PLAIN}", ratio(times, ATOMIC, PLAIN), "times", TARGET_RATIO))
    rows.append(Row(f"{ATOMIC} to {FLUSHED}", ratio(times, ATOMIC, FLUSHED), "times"))
    print_rows(f"checkpoint: {size / 1e6:.0f} MB; {rounds} rounds; wall time", rows)


def _settled(save: Callable[[], None]) -> Candidate:
    """Starts with nothing of others' on its way to the disk."""

    def run() -> float:
        os.sync()
        start = time.perf_counter()
        save()
        return time.perf_counter() - start

    return run


def _flushed(state: dict[str, Any], path: Path) -> None:
    with path.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())


def _saver(keeper: Checkpointer, state: RunState) -> Callable[[], None]:
    def save() -> None:
        state.progress.step += 1
        keeper.save()

    return save


def _waiting(keeper: Checkpointer, state: RunState) -> Candidate:
    save = _settled(_saver(keeper, state))

    def run() -> float | None:
        seconds = save()
        keeper.wait()
        return seconds

    return run
