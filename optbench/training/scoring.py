"""Scoring a run's players on a set, at the weights that they are meant to be judged by."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial

import torch

from optbench.training.averaged import show_some
from optbench.training.evaluate import evaluate
from optbench.training.feed import Feed
from optbench.training.keeper import RunState
from optbench.training.reporter import Reporter
from optbench.training.settings import EvaluationSet
from optbench.training.signals import Interruption

MOST_SHOWN = 64
"""Examples of the validation set that a task gets to show something of."""


class Scorer:
    """Evaluates, and reports what it finds.

    Args:
        state: of the run.
        feed: the training examples, for batch norms of averaged weights.
        reporter: takes the scores.
        batch_size: examples in a forward pass.
        interruption: whether the run has been asked to stop.
    """

    def __init__(
        self,
        state: RunState,
        feed: Feed,
        reporter: Reporter,
        batch_size: int,
        interruption: Interruption,
    ) -> None:
        self.state, self.feed, self.reporter, self.batch_size = state, feed, reporter, batch_size
        self.interruption = interruption

    def score(self, what: EvaluationSet, show: bool = False) -> dict[str, float]:
        """The scores by tag, such as `val/loss`; `show`: samples are shown as well.

        Raises:
            Abandoned: the run was asked to stop; nothing was written, and all is as before.
        """
        state, world = self.state, self.state.world
        modules = {player.name: player.module for player in state.players}
        with ExitStack() as stack:
            for player in state.players:
                player.module.eval()
                stack.callback(player.module.train)
            for player in state.players:
                calibrate = partial(show_some, self.feed, state.task, modules, player.name)
                stack.enter_context(player.evaluated(partial(calibrate, state.precision)))
                world.equalise(player.module.buffers())
            scores = evaluate(
                *(state.task, modules, what.source, what.indices, self.batch_size),
                *(state.precision, world, self.interruption),
            )
            if show and world.is_main:
                few = min(MOST_SHOWN, len(what.indices))
                with torch.no_grad():
                    batch = next(iter(what.source.stream(what.indices, [(0, few)])))
                    shown = state.task.show(modules, batch)
                if shown is not None:
                    self.reporter.show(shown)
        metrics = {f"{what.name}/{metric}": value for metric, value in scores.items()}
        self.reporter.write(what.name, metrics)
        return metrics
