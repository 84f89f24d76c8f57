"""The stacked tensors of several runs, and what a step does with them."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from optbench.training.batches import BatchStream
from optbench.training.together.clip import StackedClipping
from optbench.training.together.dropout import OwnDropout
from optbench.training.together.feed import StackedFeed
from optbench.training.together.loss import StackedLoss
from optbench.training.together.stack import ModuleStack
from optbench.training.together.update import StackedUpdate
from optbench.training.train_step import TrainStep


class Core:
    """Parameters, buffers and optimizers' state of several runs, stacked.

    The runs' own modules and optimizers have views of the stacks from then on, so that everything
    else that looks at them finds what it would find in a run alone.

    Args:
        steps: of the runs, alike but for their numbers.
        feeds: their examples.
        generators: what is dropped comes of, one for each run; None where nothing is.
        total_steps: of a run from its beginning to its end; 0 where few are taken.
    """

    def __init__(
        self,
        steps: Sequence[TrainStep],
        feeds: Sequence[BatchStream],
        generators: Sequence[torch.Generator] | None = None,
        total_steps: int = 0,
    ) -> None:
        self.steps = steps
        players = [step.player for step in steps]
        self.modules = ModuleStack([player.module for player in players])
        self.update = StackedUpdate([player.optimizer for player in players], self.modules.own)
        self.weights, self.gradients = self.update.in_order()
        self.clipping = StackedClipping([step.clipping for step in steps], self.update)
        self.feed = StackedFeed(feeds)
        self.loss = StackedLoss(
            players[0].module,
            steps[0].task,
            players[0].name,
            self.modules,
            update=self.update,
            dropout=None if generators is None else OwnDropout(generators),
            calls=lambda batch: total_steps * self.feed.share_like(batch),
        )

    def clip(self) -> None:
        """Clip the gradients, each member's by its own."""
        for number in self.clipping.alone:
            step = self.steps[number]
            parameters = step.player.parameters
            for parameter, stack in zip(parameters, self.gradients, strict=True):
                parameter.grad = stack[number]
            groups = [group["params"] for group in step.player.optimizer.param_groups]
            step.clipping.apply(parameters, groups)
        self.clipping.apply()
