"""The losses of all members, each of its own examples, and their gradients."""

from __future__ import annotations

import copy
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from optbench.tasks.base import Task
from optbench.training.together.dropout import OwnDropout
from optbench.training.together.stack import ModuleStack
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
    """

    def __init__(
        self,
        module: nn.Module,
        task: Task,
        player: str,
        stack: ModuleStack,
        update: StackedUpdate,
        dropout: OwnDropout | None,
    ) -> None:
        from torch.func import functional_call, vmap

        copied = _Loss(copy.deepcopy(module).train(), task, player)
        self._update, self._dropout = update, dropout
        weights, _ = update.in_order()
        self._leaves = [each.detach().requires_grad_() for each in weights]
        names = [f"module.{name}" for name in stack.trained]
        self._tensors = dict(zip(names, self._leaves, strict=True))
        self._tensors |= {f"module.{name}": each for name, each in stack.others.items()}
        self._ones = weights[0].new_ones(len(weights[0]))

        def alone(tensors: dict[str, Tensor], batch: Any) -> Tensor:
            loss: Tensor = functional_call(copied, tensors, (batch,))
            return loss

        self._together = vmap(alone, randomness="error")

    def gradients(self, batch: Any) -> Tensor:
        """Give the update the gradients of a stacked batch; return the losses, [members].

        Raises:
            RuntimeError: vmap can't, or a parameter has no gradient.
        """
        with self._dropout or nullcontext(), sdpa_kernel(SDPBackend.MATH):  # vmap knows no other
            losses: Tensor = self._together(self._tensors, batch)
        ones = self._ones if losses.dtype == self._ones.dtype else torch.ones_like(losses)
        self._update.take_gradients(torch.autograd.grad(losses, self._leaves, ones))
        return losses.detach()
