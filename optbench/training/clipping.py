"""What is done to gradients before an update: centred, clipped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

LEAST_NORM = 1e-3
"""Weights of a smaller norm count as of this one in adaptive clipping: zeros have to move."""


@dataclass(frozen=True)
class Clipping:
    """Bounds on the gradient; None is off. They act in this order.

    Attributes:
        norm: of the total norm.
        value: of each entry's absolute value.
        adaptive: of each output unit's norm over its weights' norm (adaptive gradient clipping,
            Brock et al. 2021, equation 3).
        per_group: whether `norm` bounds each parameter group by itself.
        centralize: whether the mean over each output unit's inputs is subtracted first (gradient
            centralisation, Yong et al. 2020, equation 1).
    """

    norm: float | None = None
    value: float | None = None
    adaptive: float | None = None
    per_group: bool = False
    centralize: bool = False

    @property
    def acts(self) -> bool:
        """Whether there is anything to do."""
        return self.centralize or not self.norm == self.value == self.adaptive is None

    @torch.no_grad()
    def apply(self, parameters: Sequence[Tensor], groups: Sequence[Sequence[Tensor]]) -> None:
        """Changes the gradients in place.

        Args:
            parameters: all.
            groups: the same, by the optimizer's groups.
        """
        if self.centralize:
            for parameter in parameters:
                centralize(parameter)
        if self.value is not None:
            nn.utils.clip_grad_value_(parameters, self.value)
        if self.adaptive is not None:
            for parameter in parameters:
                clip_adaptively(parameter, self.adaptive)
        if self.norm is not None:
            for some in groups if self.per_group else [parameters]:
                nn.utils.clip_grad_norm_(some, self.norm)


def centralize(parameter: Tensor) -> None:
    """Subtracts from a matrix's or kernel's gradient the mean over all dimensions but the first."""
    gradient = parameter.grad
    if gradient is not None and gradient.ndim > 1 and not gradient.is_sparse:
        gradient.sub_(gradient.mean(dim=tuple(range(1, gradient.ndim)), keepdim=True))


def clip_adaptively(parameter: Tensor, factor: float) -> None:
    """Bounds each output unit's gradient norm by `factor` times its weights' norm."""
    gradient = parameter.grad
    if gradient is None or gradient.is_sparse:
        return
    allowed = _unit_norms(parameter.detach()).clamp_(min=LEAST_NORM).mul_(factor)
    norms = _unit_norms(gradient)
    gradient.mul_(torch.where(norms > allowed, allowed / norms, torch.ones_like(norms)))


def _unit_norms(tensor: Tensor) -> Tensor:
    """By output unit, the first dimension; of a vector, of the whole."""
    if tensor.ndim < 2:
        return torch.linalg.vector_norm(tensor)
    return torch.linalg.vector_norm(tensor, dim=tuple(range(1, tensor.ndim)), keepdim=True)
