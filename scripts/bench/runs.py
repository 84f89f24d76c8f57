"""Runs of optbench for the benchmarks: composed, built and written as the command line does it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from optbench import RunSpec, compose
from optbench.assemble.data import dataset
from optbench.assemble.experiment import Experiment, build_experiment
from optbench.rundir import RunDir
from optbench.runs.log import Log
from optbench.runs.sinks import make_recorder
from optbench.training.distributed import World, join

FOREVER = 10**9
ONLY_STEPS = ["checkpoint=none", "eval.every=0", "device=cpu"]
"""Overrides for a run which does nothing but steps."""

MADE_UP = ["dataset=synthetic", "dataset.shape=[1,28,28]"]

SPLIT = ["dataset.val_fraction=0.1"]
"""As the defaults have it; a stretch is an epoch, so that an epoch's own cost has its weight."""


def fashion() -> list[str]:
    """FashionMNIST where OPTBENCH_DATA points at it, else made-up images of its shape."""
    if os.environ.get("OPTBENCH_DATA"):
        return ["dataset=fashion_mnist"]
    return [*MADE_UP, "dataset.train_size=60000"]


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder for run folders, on the disk of the system's temporary files."""
    with tempfile.TemporaryDirectory(prefix="optbench-bench-") as name:
        yield Path(name)


def build(overrides: Sequence[str], world: World | None = None) -> tuple[RunSpec, Experiment]:
    """A run that is ready to start; it scores nothing at its end."""
    spec = compose(*overrides, f"steps={FOREVER}")
    world = join(spec.config.device) if world is None else world
    experiment = build_experiment(spec.config, dataset(spec.config), world)
    experiment.validation = experiment.test = None
    return spec, experiment


class Stretches:
    """A run of optbench's trainer, done a few steps at a time.

    Every stretch is a call of `Trainer.run` that goes on where the last one ended.

    Args:
        spec, experiment: the run.
        folder: its run folder, made if it is not there.
        monitor: every how many steps it is measured; None is as the config says.
        live: a console for the progress bar, if one is to be drawn.
    """

    def __init__(
        self,
        spec: RunSpec,
        experiment: Experiment,
        folder: Path,
        monitor: int | None = None,
        live: Any = None,
    ) -> None:
        folder.mkdir(exist_ok=True)
        log = Log(quiet=True)
        if live is not None:
            log = _LiveLog(live)
        self.recorder = None
        if experiment.world.is_main:
            self.recorder = make_recorder(spec, RunDir(folder), log, experiment, None)
        self.trainer = experiment.trainer(self.recorder)
        if monitor is not None:
            cadence = replace(self.trainer.settings.cadence, monitor=monitor)
            self.trainer.settings = replace(self.trainer.settings, cadence=cadence)

    def __call__(self, steps: int) -> float:
        """Takes some steps; the seconds spent in them, without what events took."""
        trainer = self.trainer
        before = trainer.progress.seconds
        outcome = trainer.run(until=trainer.progress.step + steps)
        if outcome.state != "running":
            raise SystemExit(f"the run ended as {outcome.state}: {outcome.message}")
        return float(trainer.progress.seconds - before)

    def close(self) -> None:
        """Closes the run's files."""
        if self.recorder is not None:
            self.recorder.close()


class _LiveLog(Log):
    """A log that always has a terminal to draw on."""

    def __init__(self, console: Any) -> None:
        super().__init__(quiet=True)
        self._live = console

    @property
    def live(self) -> Any:
        return self._live


def all_examples(experiment: Experiment) -> tuple[Any, Any]:
    """All inputs, normalised, and their labels, by the number of the example."""
    source = experiment.feed.source
    return next(iter(source.stream(torch.arange(len(source)), [(0, len(source))])))
