"""The losses of all members, each of its own examples, and their gradients."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from optbench.monitor.activations import ActivationWatch
from optbench.tasks.base import Task
from optbench.training.together.dropout import OwnDropout
from optbench.training.together.stack import ModuleStack
from optbench.training.together.traced import Traced, repeats_itself
from optbench.training.together.update import StackedUpdate


class _Loss(nn.Module):
    """The task's loss as a module, in which `functional_call` replaces all tensors."""

    def __init__(self, module: nn.Module, task: Task, player: str) -> None:
        super().__init__()
        self.module, self._task, self._player = module, task, player

    def forward(self, batch: Any) -> Tensor:
        return self._task.loss({self._player: self.module}, batch, self._player)


class StackedLoss:
    """By vmap over the members' weights, buffers and examples.

    Args:
        module: one member's, which is copied for what it does; its tensors are not used.
        task: gives the loss.
        player: whose loss it is.
        stack: the members' tensors.
        update: has the stacks of what is trained, and takes the gradients.
        dropout: draws what is dropped, where something is.
        calls: how many there are in all with batches like this one.

    Attributes:
        repeats: whether the operations are the same in each call, so that they can be noted.
    """

    def __init__(
        self,
        module: nn.Module,
        task: Task,
        player: str,
        stack: ModuleStack,
        update: StackedUpdate,
        dropout: OwnDropout | None,
        calls: Callable[[Any], float],
    ) -> None:
        from torch.func import functional_call, vmap

        copied = self._copied = _Loss(copy.deepcopy(module).train(), task, player)
        self._update, self._dropout = update, dropout
        weights, places = update.in_order()
        leaves = [each.detach().requires_grad_() for each in weights]
        self._trained = [f"module.{name}" for name in stack.trained]
        self._tensors = dict(zip(self._trained, leaves, strict=True))
        self._tensors |= {f"module.{name}": each for name, each in stack.others.items()}

        def alone(tensors: dict[str, Tensor], batch: Any) -> Tensor:
            loss: Tensor = functional_call(copied, tensors, (batch,))
            return loss

        self._together = vmap(alone, randomness="error")
        self.repeats = dropout is None and repeats_itself(module, task)
        self._pass = Traced(self._by_vmap, calls, places) if self.repeats else self._by_vmap

    def gradients(self, batch: Any) -> Tensor:
        """Give the update the gradients of a stacked batch; return the losses, [members].

        Raises:
            RuntimeError: vmap can't, or a parameter has no gradient.
        """
        losses, *gradients = self._pass(self._tensors, batch)
        self._update.take_gradients(gradients)
        return losses

    @torch.no_grad()
    def shares(self, batch: Any) -> dict[str, Tensor]:
        """Return what an `ActivationWatch` sees in a pass over a stacked batch, [members] by tag.

        Nothing is left of the pass.

        Raises:
            RuntimeError: vmap can't, or something is dropped, which has to be each member's own.
        """
        from torch.func import functional_call, vmap

        watch = ActivationWatch(self._copied.module, every=1)
        trained = set(self._trained)
        tensors = {n: t if n in trained else t.clone() for n, t in self._tensors.items()}

        def alone(tensors: dict[str, Tensor], batch: Any) -> dict[str, Tensor]:
            return watch.shares(lambda: functional_call(self._copied, tensors, (batch,)))

        with sdpa_kernel(SDPBackend.MATH):
            found: dict[str, Tensor] = vmap(alone, randomness="error")(tensors, batch)
        return found

    def _by_vmap(self, tensors: Mapping[str, Tensor], batch: Any) -> tuple[Tensor, ...]:
        """Return the losses, and their gradients in the model's order of parameters."""
        with self._dropout or nullcontext(), sdpa_kernel(SDPBackend.MATH):  # vmap knows no other
            losses: Tensor = self._together(dict(tensors), batch)
        leaves = [tensors[name] for name in self._trained]
        gradients = torch.autograd.grad(losses, leaves, torch.ones_like(losses))
        return (losses.detach(), *gradients)
