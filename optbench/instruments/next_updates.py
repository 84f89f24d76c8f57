"""The run's next updates, one after the other: their sizes, and the angles between them."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from statistics import fmean

from torch import Tensor

from optbench.instruments import directions
from optbench.instruments.base import Measurement, Progress, unwatched
from optbench.instruments.directions import Direction
from optbench.instruments.drawing import Curves
from optbench.instruments.effective_lr import memory_of
from optbench.instruments.look import Look
from optbench.training.buffers import Buffers
from optbench.training.checkpoint import Loaded
from optbench.training.checkpointer import RunState
from optbench.training.trainer import Trainer

MOST_TRIES = 3
"""Steps tried for each update that is wanted."""


class Updates:
    """The cosine of successive updates: the run takes its next steps, which are then undone.

    These are the steps that it takes, or took, from this point: of the same examples, random
    numbers, and state of the optimizer. Near -1 updates undo each other, as in a direction whose
    curvature the learning rate is too large for; near 1 they could be longer. Momentum alone has
    the cosine be about its coefficient where gradients are noise, which is said beside it.

    Args:
        steps: how many, at least 2.

    Raises:
        ValueError: fewer.
    """

    name = "updates"
    what = "the cosine of successive updates, over the next steps, which are then undone"

    def __init__(self, *, steps: int = 10) -> None:
        if steps < 2:
            raise ValueError(f"steps={steps}: expected at least 2, between which there is an angle")
        self.steps = steps

    def lacking(self, look: Look) -> str | None:
        """Return why it can't measure this run."""
        if look.trainer.state.world.size > 1:
            return "steps that are taken and undone, which is done in one process alone"
        return None

    def measure(self, look: Look, progress: Progress = unwatched) -> Measurement:
        """Take steps, measure them, and put all back."""
        updates: list[Direction] = []
        size = directions.norm(look.parameters)
        with undone(look.trainer.state):
            for each in look.trainer.players:
                each.forward.train()
                each.clear_gradients()
            before, tries = _now(look), 0
            while len(updates) < self.steps and tries < MOST_TRIES * self.steps * look.player.every:
                taken = look.player.step
                _step(look.trainer)
                tries += 1
                if look.player.step == taken:  # not its turn; or left out, as fp16 does
                    continue
                now = _now(look)
                updates.append(directions.minus(now, before))
                if not math.isfinite(directions.norm(updates[-1])):
                    del updates[-1]
                    break
                before = now
                progress(len(updates), self.steps)
        return self._told(look, updates, size)

    def _told(self, look: Look, updates: list[Direction], size: float) -> Measurement:
        cosines = [directions.cosine(one, other) for one, other in pairwise(updates)]
        sizes = [directions.norm(each) for each in updates]
        known = [each for each in cosines if math.isfinite(each)]
        values = {}
        if known:
            values["updates/cosine"] = fmean(known)
        if sizes:
            values["updates/size"] = fmean(sizes)
            far = directions.norm(
                [sum(parts[1:], parts[0]) for parts in zip(*updates, strict=True)]
            )
            if sum(sizes) > 0:
                values["updates/straightness"] = far / sum(sizes)
            if size > 0:
                values["updates/ratio"] = fmean(sizes) / size
        first = look.step + 1
        notes = [f"{len(updates)} steps from step {look.step} on, taken and undone"]
        if len(updates) < self.steps:
            notes.append("then updates were left out, or not finite")
        end = look.trainer.settings.total_steps
        if look.step + self.steps > end:
            notes.append(f"the run ends at step {end}: the schedule is beyond its end after that")
        if sizes and not any(sizes):
            notes.append("no update moved anything, as with a learning rate of 0")
        memory = memory_of(look.player.optimizer)
        if memory:
            notes.append(f"gradients that are noise would have a cosine of about {memory:g}, the "
                         "momentum's")  # fmt: skip
        tables = {"steps": [*range(first, first + len(sizes))], "sizes": sizes, "cosines": cosines}
        steps = [*range(first + 1, first + 1 + len(cosines))]
        title = "cosine of successive updates"
        picture = Curves(steps, {"cosine": cosines}, title, "step", "cosine")
        return Measurement(values, tables, notes, {"cosine": picture})


def _now(look: Look) -> list[Tensor]:
    return [each.detach().clone() for each in look.parameters]


def _step(trainer: Trainer) -> None:
    """Take the run's next step, as the trainer does."""
    progress, taken = trainer.progress, False
    work = trainer.feed.step_at(progress.epoch, progress.index)
    if len(trainer.players) > 1:
        work = work.repeatable()
    number = progress.step + 1
    for player, step in zip(trainer.players, trainer.steps, strict=True):
        if number % player.every:
            continue
        if player.needs.closure:
            _, done = step.with_closure(work)
        else:
            step.loss_and_gradients(work)
            done = step.update()
        if done:
            player.advance()
        taken = done or taken
    progress.advance(work.examples, trainer.feed.steps_per_epoch)
    if taken:
        progress.step = number


@contextmanager
def undone(state: RunState) -> Iterator[None]:
    """Put back all that steps in the block change, to the bit."""
    shared, own = copy.deepcopy(state.shared()), copy.deepcopy(state.own())
    metrics = dict(state.metrics)  # those of the clock are in no checkpoint
    modules = [part for player in state.players for part in player.module.modules()]
    modes = [part.training for part in modules]
    buffers = Buffers(modules)
    buffers.remember()
    parameters = [each for player in state.players for each in player.module.parameters()]
    wanted = [(each.requires_grad, each.grad) for each in parameters]
    for each in parameters:
        each.grad = None
    try:
        yield
    finally:
        state.load(Loaded(state.progress.step, shared, own, state.world.size))
        state.metrics.update(metrics)
        for part, mode in zip(modules, modes, strict=True):
            part.training = mode
        buffers.put_back()
        for each, (wants, gradient) in zip(parameters, wanted, strict=True):
            each.requires_grad_(wants)
            each.grad = gradient
