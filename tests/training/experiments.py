"""Experiments built from overrides, whose trainers tests look into as they go on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from optbench.assemble.data import dataset
from optbench.assemble.experiment import Experiment, build_experiment
from optbench.compose.composer import hydra_session
from optbench.monitor.record import Record, Recorder
from optbench.rundir import RunDir
from optbench.training.distributed import World
from optbench.training.player import Player
from optbench.training.signals import Interruption
from optbench.training.trainer import Outcome

from .runs import small

CPU = torch.device("cpu")


def experiment(*overrides: str) -> Experiment:
    """An experiment that is ready to start."""
    lines = small(*overrides)
    with hydra_session() as composer:
        config = composer.spec(composer.compose(lines), lines).config
    return build_experiment(config, dataset(config), World(CPU))


class Memory:
    """A sink that keeps the records."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    def write(self, record: Record) -> None:
        self.records.append(record)

    def flush(self) -> None: ...

    def close(self) -> None: ...

    def values(self, tag: str) -> dict[int, float]:
        """A tag's value by step."""
        return {r.step: r.values[tag] for r in self.records if tag in r.values}

    def kinds(self, kind: str) -> list[int]:
        """The steps that have a record of this kind."""
        return [record.step for record in self.records if record.kind == kind]


class Live:
    """Calls a function after every step."""

    def __init__(self, tick: Callable[[int], Any]) -> None:
        self.tick = tick

    def decided(self, what: str) -> None:
        """Nothing is shown."""


def fit(
    made: Experiment,
    tick: Callable[[int], Any] = lambda step: None,
    folder: Path | None = None,
    interruption: Interruption | None = None,
) -> tuple[Outcome, Memory]:
    """Trains to the end; `tick` is called after every step, and after every skipped one."""
    memory = Memory()
    keeper = made.keeper(RunDir(folder)) if folder else None
    recorder = Recorder([memory], live=Live(tick))
    outcome = made.trainer(recorder, keeper, interruption or Interruption()).fit()
    return outcome, memory


def player_of(made: Experiment) -> Player:
    """An ordinary run's only player."""
    (player,) = made.state.players
    return player


def weights_of(made: Experiment) -> Tensor:
    """All parameters as one vector."""
    return torch.cat([p.detach().reshape(-1) for p in player_of(made).parameters])


def trained(*overrides: str) -> Tensor:
    """The weights at the end of a run."""
    made = experiment(*overrides)
    fit(made)
    return weights_of(made)
