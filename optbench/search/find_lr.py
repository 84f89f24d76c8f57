"""The learning rate range test on an experiment: the trainer, with a ramp as its schedule."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Protocol

from optbench.assemble.blame import blaming
from optbench.assemble.experiment import Experiment
from optbench.errors import UserError
from optbench.monitor.record import Listener, Record, Recorder
from optbench.search.lr_range import Curve, Ramp, Smoother, limit, skipped, suggest
from optbench.training.buffers import Buffers
from optbench.training.callback import Callback
from optbench.training.checkpoint import Loaded
from optbench.training.checkpointer import RunState
from optbench.training.player import Player
from optbench.training.settings import Cadence
from optbench.training.signals import Interruption
from optbench.training.trackers import BestTracker, TargetTracker
from optbench.training.trainer import Trainer


@dataclass(frozen=True)
class Trial:
    """One range test.

    Attributes:
        seed: of the experiment.
        curve: the loss of each batch before the update, against the lr of that update.
        suggestions: by rule; None where the loss does not fall.
        ended: `finished` (the ramp), `diverged`, or `preempted` (by a signal).
        message: why, if there is something to say.
        skipped: batches left out by the gradient scaler; they do not count as steps.
        signal: the signal that stopped it, or 0.
    """

    seed: int
    curve: Curve
    suggestions: dict[str, float | None]
    ended: str
    message: str = ""
    skipped: int = 0
    signal: int = 0


class Sink(Protocol):
    """Who is told every loss: TensorBoard."""

    def write(self, record: Record) -> None:
        """Take one record."""
        ...


@dataclass(frozen=True)
class RampSchedule:
    """The ramp as a schedule: the multiplier of every learning rate whose unit is `base`."""

    ramp: Ramp
    base: float

    def __call__(self, step: int, total_steps: int) -> float:
        return self.ramp.lr(step) / self.base


class _Watch(Listener, Callback):
    """Takes each step's loss from the trainer's records; asks it to stop when that diverges."""

    def __init__(
        self,
        ramp: Ramp,
        loss: str,
        every: int,
        board: Sink | None,
    ) -> None:
        self._loss, self._every = loss, every
        self.curve = Curve([], [])
        self.diverged = ""
        self._ramp, self._board = ramp, board
        self._smoother = Smoother()
        self._smoothed: list[float] = []

    def write(self, record: Record) -> None:
        if record.kind != "train" or self._loss not in record.values or self.diverged:
            return
        loss, lr = record.values[self._loss], self._ramp.lr(record.step // self._every - 1)
        self.curve.lrs.append(lr)
        self.curve.losses.append(loss)
        smoothed = self._smoother.add(loss)
        self._smoothed.append(smoothed)
        if self._board is not None:
            values = {"train/loss": loss, "train/smoothed_loss": smoothed, "lr/model": lr}
            self._board.write(replace(record, values=values))
        enough = len(self._smoothed) > skipped(self._ramp.steps)
        if enough and smoothed > limit(self.curve.losses, self._smoothed):
            best = min(self._smoothed)
            self.diverged = f"the loss is {smoothed:.3g}, at best {best:.3g}, at lr {lr:.3g}"

    def on_step_end(self, trainer: Trainer, step: int) -> None:
        """Stop what has diverged."""
        if self.diverged:
            trainer.request_stop(self.diverged)


def range_test(
    experiment: Experiment,
    ramp: Ramp,
    player: str = "model",
    base: float | None = None,
    board: Sink | None = None,
    interruption: Interruption | None = None,
) -> Trial:
    """Train for the ramp's steps, and leave the experiment bit for bit as it was.

    Module, optimizer, gradient scaler, position, random generators and gradients are put back. The
    experiment's own schedules, EMA, evaluations and checkpoints have no part in it.

    Args:
        experiment: wherever it is; the test goes on from its position in the training set.
        ramp: of the learning rate.
        player: whose; others train as they would.
        base: the learning rate that the ramp takes the place of; those of other parameter groups
            and of a companion follow in proportion. Default: the first group's.
        board: gets `train/loss`, `train/smoothed_loss` and `lr/model` of each step.
        interruption: by whom the test may be asked to stop.

    Raises:
        UserError: the optimizer does not follow a schedule, or `base` is 0.
    """
    refuse_without_lr(experiment, player)
    stop = Interruption() if interruption is None else interruption
    several = len(experiment.state.players) > 1
    loss = f"train/loss/{player}" if several else "train/loss"
    every = next(p.every for p in experiment.state.players if p.name == player)
    watch = _Watch(ramp, loss, every, board)
    names = experiment.choices
    with blaming(experiment.config, experiment.state.task, names), untouched(experiment.state):
        test = _with_ramp(experiment, ramp, player, every, base)
        outcome = test.trainer(Recorder([watch], live=watch), None, stop, [watch]).fit()
    ended = "diverged" if watch.diverged else outcome.state
    message = watch.diverged or outcome.message
    found = suggest(watch.curve, ramp.steps)
    return Trial(
        seed=experiment.config.seed,
        curve=watch.curve,
        suggestions=found,
        ended=ended,
        message=message,
        skipped=test.state.progress.skipped,
        signal=outcome.signal,
    )


def refuse_without_lr(experiment: Experiment, name: str) -> None:
    """Raise UserError where a player's optimizer has no learning rate."""
    for player in experiment.state.players:
        if player.name == name and not player.needs.lr:
            what = type(player.optimizer).__name__
            raise UserError(f"optimizer: {what} has no learning rate to find")


def _with_ramp(
    experiment: Experiment, ramp: Ramp, player: str, every: int, base: float | None
) -> Experiment:
    """Return the experiment on the same parts, for the ramp's steps and with nothing but them."""
    state = experiment.state
    return replace(
        experiment,
        config=replace(experiment.config, nonfinite="stop"),
        state=RunState(
            [_ramped(p, ramp, base) if p.name == player else p for p in state.players],
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
            total_steps=ramp.steps * every,
            cadence=Cadence(monitor=1),
            nonfinite="stop",
            patience=0,
            per_parameter=False,
        ),
    )


def _ramped(player: Player, ramp: Ramp, base: float | None) -> Player:
    base_lrs = player.hyperparameters.base_lrs
    base = base_lrs[0] if base is None else base
    if not base > 0:
        raise UserError(f"optimizer.lr={base:g}: find-lr scales it, so it has to be above 0")
    for group, lr in zip(
        player.optimizer.param_groups, player.hyperparameters.base_lrs, strict=True
    ):
        group["lr"] = lr
    schedule = RampSchedule(ramp, base)
    own = (player.name, player.module, player.forward, player.optimizer)
    return Player(*own, schedule, ramp.steps, every=player.every)


@contextmanager
def untouched(state: RunState) -> Iterator[None]:
    """Put back all that a training in the block changes, whatever happens in it."""
    shared, own = copy.deepcopy(state.shared()), copy.deepcopy(state.own())
    modules = [m for player in state.players for m in player.module.modules()]
    modes = [module.training for module in modules]
    buffers = Buffers(modules)  # also those that are in no state dict
    buffers.remember()
    parameters = [p for player in state.players for p in player.module.parameters()]
    wanted = [p.requires_grad for p in parameters]
    gradients = [None if p.grad is None else p.grad.detach().clone() for p in parameters]
    try:
        yield
    finally:
        state.load(Loaded(state.progress.step, shared, own, state.world.size))
        for module, mode in zip(modules, modes, strict=True):
            module.training = mode
        buffers.put_back()
        for parameter, gradient, wants in zip(parameters, gradients, wanted, strict=True):
            parameter.requires_grad_(wants)
            parameter.grad = gradient


def base_lr(experiment: Experiment, player: str) -> float:
    """Return the `optimizer.lr` that the experiment was built with; null is the library's own."""
    from optbench.assemble.optimizer import lr_factor

    config = experiment.config
    lr = config.players[player].optimizer["lr"]
    if lr is not None:
        return float(lr)
    factor = lr_factor(config.scale_lr, experiment.feed.batch_size, config.base_batch_size)
    found = next(p for p in experiment.state.players if p.name == player)
    return found.hyperparameters.base_lrs[0] / factor
