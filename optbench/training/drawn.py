"""Random numbers for the examples of a step, the same however it is cut."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from optbench.data.order import share
from optbench.tasks.base import Uniform
from optbench.training.distributed import World


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


def no_distribution(task: str) -> str:
    """Return what to say of a task whose `draws` is false."""
    return (
        f"the loss of {task} is not the likelihood of a distribution that targets could be drawn "
        "from; take the gradients of the given ones, optimizer.fisher=empirical"
    )
