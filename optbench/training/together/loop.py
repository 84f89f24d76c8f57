"""The loop over the steps of many runs at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from math import isfinite
from typing import Any

from optbench.training.loss_reader import LossReader
from optbench.training.settings import NEVER
from optbench.training.signals import Interruption
from optbench.training.together.core import Core
from optbench.training.together.member import Member
from optbench.training.together.scores import StackedScores
from optbench.training.together.watch import StackedWatch


class ApartError(Exception):
    """A step can't be taken by all at once; each member can go on from where it is by itself."""


class Together:
    """Trains members from one position on, each to its own end.

    What is not the forward and backward pass, clipping and the update, each does by itself, as if
    it were alone. One that has ended keeps its place, in which numbers that nobody looks at are
    computed: the others' bits do not depend on it.

    Args:
        members: begun, and at one position.
        core: their stacked tensors.
        interruption: whether there was a signal.
        guarded: calls what a member does by itself; returns whether that went well. Where it did
            not, the member has ended.
        ended: told of a member that has come to its end.
        tell: told what is not done at once, and why.

    Attributes:
        alive: the members that have not ended.
    """

    def __init__(
        self,
        members: Sequence[Member],
        core: Core,
        interruption: Interruption,
        guarded: Callable[[Member, Callable[[], None]], bool],
        ended: Callable[[Member], None],
        tell: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.core, self._interruption = core, interruption
        self._guarded, self._told = guarded, ended
        self.alive = list(members)
        late = members[0].state.world.device.type != "cpu"
        self._reader: LossReader[int] = LossReader(late)
        self._at_once = not late
        self._watch = StackedWatch(core)
        self._scores = StackedScores(members, core, interruption, tell)
        self._turns: list[tuple[int, Sequence[float]]] = []
        self._came = False  # a loss that is not finite
        self._spent = self._optimizing = 0.0
        self._step = members[0].trainer.progress.step
        self._position = members[0].trainer.progress
        self._updates = members[0].player.step
        self._next = NEVER
        self._moving: list[Member] = []

    def run(self) -> None:
        """Take steps until every member has ended.

        Raises:
            ApartError: a step can't be taken at once.
        """
        epoch, index = self._position.epoch, self._position.index
        self._end_those_done()
        self._plan()
        while self.alive:
            for batch, examples in self.core.feed.epoch(epoch, index):
                self._take_step(batch, examples)
                if not self.alive:
                    return
            epoch, index = epoch + 1, 0

    def _take_step(self, batch: Any, examples: int) -> None:
        number, begun = self._step + 1, time.perf_counter()
        watched, sampled = self._looks(number)
        if watched:
            self._watch.see_forward(watched, batch, number)
        self._read(self._reader.push(examples, self._gradients(batch)))
        if self._came and self._at_once:
            self._lose(*self._turns.pop())
            begun = time.perf_counter()
            watched = [member for member in watched if member in self.alive]
            if not self.alive:
                return
        if watched:
            self._watch.see_gradients()
        for member in sampled:
            member.give_gradients(self.core.gradients)
            member.trainer.reporter.sampler(member.player, number)()
        self._update(bool(watched))
        if watched:
            self._watch.give(watched)
        self._step = number
        self._spent += time.perf_counter() - begun
        if number >= self._next or self._interruption.number or self._came:
            self._do_due()

    def _gradients(self, batch: Any) -> Any:
        try:
            return self.core.loss.gradients(batch)
        except Exception as error:  # of this batch: others went well
            self._read(self._reader.settle())
            self._catch_up()
            raise ApartError(f"{type(error).__name__}: {error}") from error

    def _looks(self, number: int) -> tuple[list[Member], list[Member]]:
        """Return who is measured at this step, and whose gradients are sampled."""
        if number < self._next:
            return [], []
        looks = [(member, *member.trainer.looks_at(number)) for member in self.alive]
        return [m for m, watched, _ in looks if watched], [m for m, _, sampled in looks if sampled]

    def _read(self, ready: tuple[int, Any] | None) -> None:
        """Keep a step's losses; notice those that are not finite."""
        if ready is None:
            return
        examples, losses = ready
        self._turns.append((examples, losses))
        if not all([isfinite(losses[member.place]) for member in self.alive]):
            self._came = True

    def _lose(self, examples: int, losses: Sequence[float]) -> None:
        """End the members whose loss is not finite, before the step's update."""
        self._catch_up()
        for member in list(self.alive):
            loss = losses[member.place]
            if isfinite(loss):
                continue
            member.give_gradients(self.core.gradients)
            self._alone(member, lambda m=member, v=loss: m.lose(v, examples))  # type: ignore[misc]
        self._turns.append((examples, losses))
        self._came = False

    def _update(self, watched: bool) -> None:
        """Clip and update all members; count the update."""
        core, begun = self.core, time.perf_counter()
        core.clip()
        if watched:
            self._watch.see_before()
        core.update.step(self._updates + 1)
        self._updates += 1
        if watched:
            self._watch.see_after()
        self._optimizing += time.perf_counter() - begun
        for member in self._moving:
            member.player.advance()
            core.update.read_settings(member.place)

    def _do_due(self) -> None:
        """Let members do what is due, and end those that are done."""
        self._read(self._reader.settle())
        self._catch_up()
        self._came = False
        self._scores.see(self.alive)
        for member in list(self.alive):
            self._alone(member, member.trainer.after_step)
        self._plan()

    def _alone(self, member: Member, does: Callable[[], None]) -> None:
        """Let a member do something by itself; see whether that was its end."""
        if not self._guarded(member, does):
            self.alive.remove(member)
        elif not member.trainer.goes_on:
            self._end(member)

    def _end_those_done(self) -> None:
        for member in list(self.alive):
            if not member.trainer.goes_on:
                self._end(member)

    def _end(self, member: Member) -> None:
        self.alive.remove(member)
        member.trainer.rest()
        self._told(member)

    def _catch_up(self) -> None:
        """Have all members count what steps were taken, and how long these took."""
        share = 1 / max(1, len(self.alive))
        for member in self.alive:
            member.spend(self._spent * share, self._optimizing * share)
            member.catch_up(self._turns)
        self._turns, self._spent, self._optimizing = [], 0.0, 0.0

    def _plan(self) -> None:
        """Find when something is due next, and whose settings move."""
        trainers = [member.trainer for member in self.alive]
        self._next = min([trainer.next_due for trainer in trainers], default=NEVER)
        self._moving = [member for member in self.alive if member.moves]
        for member in self.alive:
            self.core.update.read_settings(member.place)
