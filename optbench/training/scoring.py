"""Scoring a run's players on a set, at the weights that they are meant to be judged by."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial

import torch

from optbench.tasks.base import Task
from optbench.training.averaged import recalibrate_batch_norm
from optbench.training.batches import BatchStream
from optbench.training.checkpointer import RunState
from optbench.training.evaluate import evaluate
from optbench.training.player import Player
from optbench.training.reporter import Reporter
from optbench.training.settings import EvaluationSet
from optbench.training.signals import Interruption

Known = tuple[int, list[tuple[torch.Tensor, torch.Tensor]], dict[str, float]]
"""Scores: the step that they are of, each tensor that they were made of and a copy of it."""
NOTHING: Known = (-1, [], {})

MOST_SHOWN = 64
"""Examples of the validation set that a task gets to show something of."""


def scored_weights(players: Sequence[Player]) -> str | None:
    """Return which weights are judged, such as `EMA 0.9`; by player where these differ.

    None is those that were trained.
    """
    scored = {player.name: player.scored for player in players}
    if len(set(scored.values())) == 1:
        return players[0].scored
    return ", ".join(f"{name} {which or 'as trained'}" for name, which in scored.items())


def doubts(metrics: Mapping[str, float]) -> str:
    """Return what to say of scores that are not finite where all weights are: the cause is
    elsewhere."""
    scores = {t: v for t, v in metrics.items() if t.startswith(("val/", "test/"))}
    bad = [f"{tag} is {value}" for tag, value in scores.items() if not math.isfinite(value)]
    return f"{', '.join(bad)}, though all weights are finite" if bad else ""


class Scorer:
    """Evaluates, and shows what a task has to show.

    Args:
        state: of the run.
        feed: the training examples, for batch norms of averaged weights.
        reporter: takes the samples.
        batch_size: examples in a forward pass.
        interruption: whether the run has been asked to stop.
    """

    def __init__(
        self,
        state: RunState,
        feed: BatchStream,
        reporter: Reporter,
        batch_size: int,
        interruption: Interruption,
    ) -> None:
        self.state, self.feed, self.reporter, self.batch_size = state, feed, reporter, batch_size
        self.interruption = interruption
        self._modules = {player.name: player.module for player in state.players}
        self._shows = state.world.is_main and type(state.task).show is not Task.show
        self._calibrated = -1
        self._known = NOTHING

    def know(self, scores: dict[str, float], of: Sequence[torch.Tensor] = ()) -> None:
        """Take the validation set's scores, by metric, that somebody else has made.

        Args:
            of: what they were made of, where that may change before they are asked for: then they
                are not taken, as after another step.
        """
        kept = [(tensor, tensor.detach().clone()) for tensor in of]
        self._known = (self.state.progress.step, kept, scores)

    def _take_known(self) -> dict[str, float] | None:
        (step, kept, scores), self._known = self._known, NOTHING
        same = step == self.state.progress.step and all(torch.equal(*pair) for pair in kept)
        return scores if same else None

    def calibrate(self) -> None:
        """Take the statistics of averaged weights anew before a checkpoint, on rank 0."""
        recalibrates = any(player.recalibrates for player in self.state.players)
        if recalibrates and self._calibrated != self.state.progress.step:
            with self._evaluated():
                pass

    @contextmanager
    def _evaluated(self) -> Iterator[None]:
        """Have what is evaluated stand in all players' modules, in evaluation mode."""
        state, modules = self.state, self._modules
        with ExitStack() as stack:
            for module in modules.values():
                module.eval()
                stack.callback(module.train)
            for player in state.players:
                calibrate = partial(
                    recalibrate_batch_norm, self.feed, state.task, modules, player.name
                )
                stack.enter_context(player.evaluated(partial(calibrate, state.precision)))
                stack.enter_context(state.strategy.whole(player))
            self._calibrated = state.progress.step
            yield

    def score(self, what: EvaluationSet, show: bool = False) -> dict[str, float]:
        """Return the scores by tag, such as `val/loss`; with `show`, show samples as well.

        Raises:
            Abandoned: the run was asked to stop; nothing was written, and all is as before.
        """
        scores = self._take_known() if what.name == "val" else None
        shows = show and self._shows
        if scores is None or shows:
            with self._evaluated():
                if scores is None:
                    scores = self._measured(what)
                if shows:
                    self._show(what)
        return {f"{what.name}/{metric}": value for metric, value in scores.items()}

    def measured(self, what: EvaluationSet) -> dict[str, float]:
        """Return a set's scores by metric, and nothing else.

        Raises:
            Abandoned: the run was asked to stop.
        """
        with self._evaluated():
            return self._measured(what)

    def _measured(self, what: EvaluationSet) -> dict[str, float]:
        state, world = self.state, self.state.world
        for player in state.players:
            world.broadcast(player.module.buffers())
        return evaluate(
            task=state.task,
            modules=self._modules,
            source=what.source,
            indices=what.indices,
            batch_size=self.batch_size,
            precision=state.precision,
            world=world,
            interruption=self.interruption,
        )

    @torch.no_grad()
    def _show(self, what: EvaluationSet) -> None:
        few = min(MOST_SHOWN, len(what.indices))
        batch = next(iter(what.source.stream(what.indices, [(0, few)])))
        shown = self.state.task.show(self._modules, batch)
        if shown is not None:
            self.reporter.show(shown)
