"""A run at one point of its training, to be looked at and left as it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn

from optbench.errors import UserError
from optbench.training import rng
from optbench.training.batches import MicroBatch, StepBatch

if TYPE_CHECKING:
    from optbench.data.dataset import Source
    from optbench.data.permutation import Indices
    from optbench.training.objective import Objective
    from optbench.training.player import Player
    from optbench.training.trainer import Trainer

Mode = Literal["eval", "train"]
Split = Literal["train", "val"]
CHUNK = 512
"""Examples in a forward pass, unless something else is asked for."""


class Look:
    """A run at one point: its player, its examples, and objectives over as many as one likes.

    It is made of a trainer, so that the same instruments measure while a run trains and
    afterwards. Whatever is asked in its blocks leaves parameters, gradients, buffers, modes and
    random generators as they were.

    Args:
        trainer: of the run, at the point.
        player: whose parameters are looked at.

    Example:
        >>> look = Look(trainer)
        >>> with look.objective(examples=512) as objective:
        ...     curvature = objective.hvp(look.parameters, vectors)
    """

    def __init__(self, trainer: Trainer, player: str = "model") -> None:
        steps = {step.player.name: step for step in trainer.steps}
        if player not in steps:
            raise UserError(f"player={player}: no such player; there is {' and '.join(steps)}")
        self.trainer = trainer
        self._step = steps[player]
        self.player: Player = steps[player].player
        self.players = tuple(steps)

    @property
    def step(self) -> int:
        """The steps taken so far."""
        return self.trainer.progress.step

    @property
    def module(self) -> nn.Module:
        """The player's bare module."""
        return self.player.module

    @property
    def parameters(self) -> list[Tensor]:
        """The parameters that are trained."""
        return [*self.player.parameters]

    @property
    def shared_out(self) -> str | None:
        """Why the optimizer's state can't be asked, None if this rank has all of it."""
        if self.trainer.state.strategy.whole_state:
            return None
        return "strategy=zero1: no rank has all of the optimizer's state"

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return self.trainer.state.world.device

    @property
    def batch_size(self) -> int:
        """Examples in a step of the run."""
        return self.trainer.feed.batch_size

    def size(self, split: Split = "train") -> int:
        """Return how many examples a split has."""
        return len(self._examples(split)[1])

    @contextmanager
    def objective(
        self,
        examples: int | Tensor | None = None,
        split: Split = "train",
        mode: Mode = "eval",
        chunk: int = CHUNK,
    ) -> Iterator[Objective]:
        """Give the mean loss over many examples, as a function of the player's parameters.

        Examples are never augmented. In mode `eval` dropout is off and batch norm uses its running
        statistics, so that the loss is one function of the parameters.

        Args:
            examples: how many, evenly spread over the split; which, as int64 [n]; None is all.
            split: `train` or `val`.
            mode: of the modules.
            chunk: examples in a forward pass.

        Raises:
            UserError: a task that carries a state from step to step, or no such split.
        """
        work = self.batch(examples, split, chunk)
        with self.still(mode):
            yield self._step.objective(work)

    @contextmanager
    def next_step(self) -> Iterator[Objective]:
        """Give the objective of the run's next step, with its augmentation and its dropout."""
        with self.still("train"):
            yield self.trainer.objective(self.player.name)

    @contextmanager
    def still(self, mode: Mode = "eval") -> Iterator[None]:
        """Have all modules in a mode in the block, and put all that may have moved back."""
        modules = self.modules
        modes = [(part, part.training) for module in modules.values() for part in module.modules()]
        kept = [(t, t.detach().clone()) for m in modules.values() for t in m.buffers()]
        gradients = [(p, p.grad) for m in modules.values() for p in m.parameters()]
        drawn = rng.generators(self.device)
        with ExitStack() as stack:
            stack.enter_context(self.trainer.state.task.untouched())
            for module in modules.values():
                module.train(mode == "train")
            try:
                yield
            finally:
                for part, training in modes:
                    part.training = training
                with torch.no_grad():
                    for buffer, value in kept:
                        buffer.copy_(value)
                for parameter, gradient in gradients:
                    parameter.grad = gradient
                rng.set_generators(drawn)

    @property
    def modules(self) -> Mapping[str, nn.Module]:
        """All players' bare modules."""
        return {step.player.name: step.player.module for step in self.trainer.steps}

    @contextmanager
    def moved(self, to: list[Tensor]) -> Iterator[None]:
        """Have the parameters at another point in the block.

        Args:
            to: a tensor for each parameter, of its shape.
        """
        kept = [parameter.detach().clone() for parameter in self.parameters]
        try:
            with torch.no_grad():
                for parameter, value in zip(self.parameters, to, strict=True):
                    parameter.copy_(value)
            yield
        finally:
            with torch.no_grad():
                for parameter, value in zip(self.parameters, kept, strict=True):
                    parameter.copy_(value)

    def batch(
        self, examples: int | Tensor | None = None, split: Split = "train", chunk: int = CHUNK
    ) -> StepBatch:
        """Return examples of a split as micro-batches; see `objective`."""
        if self.trainer.state.task.carries:
            raise UserError("task.carry=true: examples in no order have no state to begin with")
        source, indices = self._examples(split)
        chosen = indices[_spread(examples, len(indices))]
        count = len(chosen)
        bounds = [(low, min(low + chunk, count)) for low in range(0, count, chunk)]
        weights = [(high - low) / count for low, high in bounds]
        batches = source.stream(chosen, bounds)
        micros = [MicroBatch(b, w) for b, w in zip(batches, weights, strict=True)]
        return StepBatch(micros, len(micros), count)

    def _examples(self, split: Split) -> tuple[Source, Indices]:
        if split == "train":
            return self.trainer.feed.source, self.trainer.feed.indices
        validation = self.trainer.evaluations.validation
        if validation is None:
            raise UserError("no validation set (dataset.val_fraction=0)")
        return validation.source, validation.indices


def _spread(examples: int | Tensor | None, there: int) -> Tensor:
    """Return which examples are meant, by their place in a split."""
    if isinstance(examples, Tensor):
        return examples
    count = there if examples is None else min(examples, there)
    return torch.arange(count) * there // max(count, 1)
