"""One of the runs that are trained at once."""

from __future__ import annotations

import time
from collections.abc import Sequence
from math import isfinite
from typing import Any

import torch
from torch import Tensor

from optbench.monitor.updates import UpdateWatch
from optbench.training import rng
from optbench.training.position import GRADIENT
from optbench.training.settings import is_due
from optbench.training.trainer import Trainer, Turn


class Member:
    """A run whose steps are taken by others, and that does all the rest by itself.

    Its random generators are where they were left by whoever built it; none but dropout's moves as
    it trains.

    Args:
        number: of the run, for whoever asks.
        trainer: of the run.

    Attributes:
        place: its place in the stacks.
        generator: dropout's draws.
        moves: whether something of its own has to be done after each update.
    """

    def __init__(self, number: int, trainer: Trainer) -> None:
        self.number, self.trainer = number, trainer
        self.place = number
        self.state, self.player = trainer.state, trainer.players[0]
        self.step = trainer.steps[0]
        self.watch: UpdateWatch = trainer.reporter.watches[0]
        self.generator = torch.Generator(device=self.state.world.device)
        self._captured: dict[str, Any] = {}
        self._seconds = 0.0
        trainer.clock = lambda: self._seconds
        self.moves = not self.player.hyperparameters.stays or self.player.ema is not None

    def begin(self, captured: dict[str, Any]) -> None:
        """Begin the run, with the random generators of the process as they are captured."""
        self._captured = captured
        self.state.generators = self.generators
        self.generator.set_state(captured["torch"])
        self.trainer.begin()

    def generators(self) -> dict[str, Any]:
        """Return the state of its random generators, as a checkpoint has it."""
        return {**self._captured, "torch": self.generator.get_state()}

    @property
    def position(self) -> tuple[int, ...]:
        """Where the run is: runs that are at one place can be stepped together."""
        progress = self.trainer.progress
        return (progress.step, progress.epoch, progress.index, self.player.step)

    def give_gradients(self, gradients: Sequence[Tensor]) -> None:
        """Have the parameters' gradients be its part of stacks."""
        for parameter, stack in zip(self.player.parameters, gradients, strict=True):
            parameter.grad = stack[self.place]

    @property
    def validates_next(self) -> bool:
        """Whether the trainer is about to score the validation set."""
        trainer, step = self.trainer, self.trainer.progress.step
        settings = trainer.settings
        due = is_due(settings.cadence.evaluate, step) or step >= settings.total_steps
        return due and trainer.outcome.state == "running" and trainer.progress.evaluated != step

    def know(self, scores: dict[str, float]) -> None:
        """Take the validation set's scores, by metric; not if a callback changes what is scored."""
        player, trainer = self.player, self.trainer
        looked_at: list[Tensor] = []
        if trainer.callbacks:
            looked_at += [*player.parameters, *player.module.buffers()]
            looked_at += player.ema.averages if player.ema is not None else []
        trainer.scorer.know(scores, looked_at)

    def spend(self, seconds: float, optimizer_seconds: float) -> None:
        """Count its share of the time that steps took."""
        self._seconds += seconds
        self.trainer.progress.optimizer_seconds += optimizer_seconds

    def catch_up(self, turns: Sequence[tuple[int, Sequence[float]]]) -> None:
        """Count the steps that were taken since it last did.

        Args:
            turns: examples of each step, and all members' losses.
        """
        progress, player = self.trainer.progress, self.player
        per_epoch, place = self.trainer.feed.steps_per_epoch, self.place
        add = player.loss.add
        for examples, losses in turns:
            if isfinite(losses[place]):
                add(losses[place], examples, progress.epoch)
            else:  # of a GPU, where it is known a step late
                self._record(losses[place], examples)
            progress.advance(examples, per_epoch)
            progress.step += 1
        progress.thirds += GRADIENT * len(turns)
        if not self.moves and turns:
            player.step += len(turns)
            player.hyperparameters.advance(player.step)

    def lose(self, loss: float, examples: int) -> None:
        """Take in a loss that is not finite, of a step that is not taken, and end."""
        self.trainer.progress.thirds += GRADIENT
        self._record(loss, examples)
        self.trainer.after_step()

    def _record(self, loss: float, examples: int) -> None:
        progress = self.trainer.progress
        turn: Turn = (progress.step + 1, examples, progress.epoch, progress.index)
        self.trainer.record_loss(self.player, turn, loss)

    def ordinary(self) -> None:
        """Have the process's random generators be its own, and its clock: it goes on alone."""
        rng.restore(self.generators())
        self.state.generators = rng.capture
        self.trainer.clock = time.perf_counter
