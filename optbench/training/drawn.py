"""A step's loss against targets that are drawn from what the model predicts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack

import torch
from torch import Tensor
from torch.autograd import grad

from optbench.data.order import share
from optbench.errors import UserError
from optbench.tasks.base import Uniform
from optbench.training.aside import Aside
from optbench.training.batches import MicroBatch, StepBatch
from optbench.training.capture import Capture
from optbench.training.distributed import World
from optbench.training.rng import Generators


class Rows:
    """Rows of uniform numbers by an example's place in the step.

    Each rank draws those of the whole step and takes its own, which costs little beside what is
    drawn for.

    Args:
        seed: of the step.
        examples: in the step, over all ranks.
        world: the ranks.
    """

    def __init__(self, seed: int, examples: int, world: World) -> None:
        self._seed, self._examples, self._device = seed, examples, world.device
        self._next, _ = share(examples, world.size, world.rank)

    def of(self, count: int) -> Uniform:
        """Return what gives the rows of the next so many examples of this rank."""
        first, self._next = self._next, self._next + count
        generator = torch.Generator(self._device).manual_seed(self._seed)

        def uniform(shape: Sequence[int]) -> Tensor:
            rows = max(self._examples, first + count)  # a rank without a share works on one more
            drawn = torch.rand(rows, *shape[1:], generator=generator, device=self._device)
            return drawn[first : first + count]

        return uniform


def drawn_loss(
    aside: Aside, work: StepBatch, start: Generators, captures: Sequence[Capture], seed: int
) -> Tensor:
    """Return this rank's loss against drawn targets; captures see its gradients.

    Raises:
        UserError: the task's loss is no likelihood.
    """
    if not aside.task.draws:
        raise UserError(no_distribution(type(aside.task).__name__))
    rows = Rows(seed, work.examples, aside.world)
    with ExitStack() as stack:
        stack.enter_context(aside.untouched(start))
        stack.enter_context(torch.enable_grad())
        micros: Iterable[MicroBatch] = work.micros
        for capture in captures:
            stack.enter_context(capture.evaluation(1.0, alone=True))
            micros = capture.told(micros, aside.task.terms)
        losses = []
        for batch, weight in micros:
            loss = aside.drawn_loss(batch, rows.of(aside.task.size(batch))) * weight
            losses.append(loss.detach())
            edges = [edge for capture in captures for edge in capture.edges()]
            if edges and loss.requires_grad:
                grad(loss, edges, allow_unused=True)  # the hooks of a capture take them
    return torch.stack(losses).sum()


def no_distribution(task: str) -> str:
    """Return what to say of a task whose `draws` is false."""
    return (
        f"the loss of {task} is not the likelihood of a distribution that targets could be drawn "
        "from; take the gradients of the given ones, optimizer.fisher=empirical"
    )
