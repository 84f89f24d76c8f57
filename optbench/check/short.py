"""A few steps of the training, to see where they lead; everything is put back afterwards."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from optbench.assemble.blame import blaming
from optbench.assemble.experiment import Experiment
from optbench.monitor.record import Listener, Record, Recorder
from optbench.optim.groups import every_group
from optbench.training.batches import BatchStream
from optbench.training.callback import Callback
from optbench.training.checkpointer import RunState
from optbench.training.player import Player
from optbench.training.settings import Cadence
from optbench.training.trackers import BestTracker, TargetTracker
from optbench.training.trainer import Trainer

RISEN = 10.0
"""Times the first loss's size, above which nothing more is to be learned."""


@dataclass(frozen=True)
class Constant:
    """A schedule that stays."""

    factor: float

    def __call__(self, step: int, total_steps: int) -> float:
        return self.factor


@dataclass
class Short:
    """What came of a few steps.

    Attributes:
        losses: of each step's batch, before its update.
        diverged: whether a loss or a gradient was not finite, or the loss rose far.
        message: why.
    """

    losses: list[float]
    diverged: bool = False
    message: str = ""

    @property
    def end(self) -> float:
        """The mean of the last third."""
        if self.diverged or not self.losses:
            return math.inf
        last = self.losses[-max(1, len(self.losses) // 3) :]
        return sum(last) / len(last)


class _Losses(Listener, Callback):
    """Keeps each step's loss, and asks to stop in time."""

    def __init__(self, tag: str, seconds: float, least: float) -> None:
        self.losses: list[float] = []
        self._tag, self._least = tag, least
        self._end = time.perf_counter() + seconds
        self.rose = False

    def write(self, record: Record) -> None:
        """Take a step's loss."""
        if record.kind == "train" and self._tag in record.values:
            self.losses.append(record.values[self._tag])

    def on_step_end(self, trainer: Trainer, step: int) -> None:
        """Stop what has come far enough."""
        if not self.losses:
            return
        first, last = self.losses[0], self.losses[-1]
        self.rose = last > first + RISEN * max(abs(first), 1e-3)
        if self.rose or last < self._least or time.perf_counter() > self._end:
            trainer.request_stop("enough")


def short_run(
    experiment: Experiment,
    steps: int,
    factors: Mapping[str, float] | None = None,
    seconds: float = math.inf,
    feed: BatchStream | None = None,
    least: float = -math.inf,
    monitor: int = 1,
) -> Short:
    """Train for some steps at constant learning rates; the caller puts everything back.

    Args:
        factors: of each player's learning rates; default: 1.
        seconds: after which it ends sooner.
        feed: the examples, if not the run's own.
        least: a loss that is low enough to end.
        monitor: measure every so many steps; with 0 there are no losses either.
    """
    state = experiment.state
    factors = factors or {}
    players = [_constant(player, factors.get(player.name, 1.0), steps) for player in state.players]
    several = len(players) > 1
    watch = _Losses(f"train/loss/{players[0].name}" if several else "train/loss", seconds, least)
    run = replace(
        experiment,
        config=replace(experiment.config, nonfinite="stop"),
        feed=feed or experiment.feed,
        state=RunState(
            players,
            state.precision,
            replace(state.progress, step=0, skipped=0, skipped_in_a_row=0),
            BestTracker(None, "min"),
            BestTracker("train/loss", "min"),
            TargetTracker(),
            state.task,
            state.world,
            state.strategy,
        ),
        validation=None,
        test=None,
        settings=replace(
            experiment.settings,
            total_steps=steps,
            cadence=Cadence(monitor=monitor),
            nonfinite="stop",
            patience=0,
        ),
    )
    with blaming(experiment.config, state.task, experiment.choices):
        outcome = run.trainer(Recorder([watch], live=watch), callbacks=[watch]).run()
    losses = [loss for loss in watch.losses if math.isfinite(loss)]
    diverged = outcome.state == "diverged" or watch.rose or len(losses) < len(watch.losses)
    return Short(losses, diverged, outcome.message)


def _constant(player: Player, factor: float, steps: int) -> Player:
    for parameter in player.parameters:  # a run of several leaves them as of its last turn
        parameter.requires_grad_(True)
    groups = every_group(player.optimizer)
    for group, lr in zip(groups, player.hyperparameters.base_lrs, strict=True):
        if "lr" in group:
            group["lr"] = lr
    own = (player.name, player.module, player.forward, player.optimizer)
    return Player(*own, Constant(factor), steps, every=player.every)
