"""A run that is probed while it trains ends with the bits of one that is not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from cli.program import final_state
from training.runs import assert_same_bits, metrics_of

import optbench
from optbench.rundir import RunDir
from optbench.runs.result import RunResult
from optbench.training.trainer import Trainer

SETTINGS = [
    *("model.hidden=[8]", "model.dropout=0.3", "model.batch_norm=true", "optimizer=adam"),
    *("threads=1", "device=cpu", "steps=9", "checkpoint.every=3", "eval.every=3"),
    *("monitor.every=1", "batch_size=32"),
]


class Probing(optbench.Callback):
    """Probes the run's own folder whenever a checkpoint has been written."""

    def __init__(self) -> None:
        self.seen: dict[int, float] = {}

    def on_checkpoint(self, trainer: Trainer, step: int) -> None:
        assert trainer.keeper is not None
        words = ["instruments=[hessian,stability]", "examples=40", "hessian.top=1"]
        found = optbench.probe(trainer.keeper.folder.parent, *words, at=step)
        self.seen[step] = found.values["stability/sharpness"][step]


class FromOutside(Probing):
    """The same by a process of its own."""

    def on_checkpoint(self, trainer: Trainer, step: int) -> None:
        assert trainer.keeper is not None
        run = str(trainer.keeper.folder.parent)
        words = ["instruments=[hessian,stability]", "examples=40", f"--out=out-{step}"]
        command = [sys.executable, "-m", "optbench", "probe", run, "--at", str(step), *words]
        done = subprocess.run(command, capture_output=True, encoding="utf-8")
        assert done.returncode == 0, done.stderr
        self.seen[step] = 1.0


def trained(folder: str, *callbacks: optbench.Callback) -> RunResult:
    return optbench.train(*SETTINGS, folder=folder, callbacks=callbacks)


@pytest.mark.parametrize(
    "make", [Probing, pytest.param(FromOutside, marks=pytest.mark.slow)], ids=["inside", "outside"]
)
def test_it_ends_with_the_same_bits(make: type[Probing], workplace: Path) -> None:
    probing = make()
    trained("probed", probing)
    trained("alone")
    assert {3, 6, 9} <= probing.seen.keys() and all(v > 0 for v in probing.seen.values())
    states = [final_state(RunDir(workplace / name)) for name in ("probed", "alone")]
    for state in states:
        state["state.pt"]["reached"].pop("seconds")
    assert_same_bits(*states)
    assert metrics_of(workplace / "probed") == metrics_of(workplace / "alone")
