"""What is done to gradients before an update: centred, clipped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

LEAST_NORM = 1e-3
"""Weights of a smaller norm count as of this one in adaptive clipping: zeros have to move."""


@dataclass(frozen=True)
class Clipping:
    """Bounds on the gradient; None is off. In this order: centralize, value, adaptive, norm.

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
    def apply(
        self,
        parameters: Sequence[Tensor],
        groups: Sequence[Sequence[Tensor]],
        across: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        """Change the gradients in place; sparse ones, coalesced, stay sparse.

        Args:
            parameters: all, or this rank's rows of each.
            groups: the same, by the optimizer's groups.
            across: adds up squares over the ranks that have the other rows.
        """
        if self.centralize:
            for parameter in parameters:
                centralize(parameter)
        if self.value is not None:
            _clip_values(parameters, self.value)
        if self.adaptive is not None:
            for parameter in parameters:
                clip_adaptively(parameter, self.adaptive)
        if self.norm is not None:
            for some in groups if self.per_group else [parameters]:
                _clip_norm(some, self.norm, across)


def _clip_norm(
    parameters: Sequence[Tensor], bound: float, across: Callable[[Tensor], Tensor] | None
) -> None:
    if across is None:
        nn.utils.clip_grad_norm_(parameters, bound)
        return
    own = [parameter.grad for parameter in parameters if parameter.grad is not None]
    square = nn.utils.get_total_norm(own).square() if own else parameters[0].new_zeros(())
    nn.utils.clip_grads_with_norm_(parameters, bound, across(square).sqrt())


def centralize(parameter: Tensor) -> None:
    """Subtract from a matrix's or kernel's gradient the mean over all dimensions but the first."""
    gradient = parameter.grad
    if gradient is None or gradient.ndim < 2:
        return
    if gradient.is_sparse and gradient.sparse_dim() > 1:
        gradient = parameter.grad = gradient.to_dense()  # what is subtracted fills whole rows
    rows = _entries(parameter) if gradient.is_sparse else gradient
    rows.sub_(rows.mean(dim=tuple(range(1, rows.ndim)), keepdim=True))


def clip_adaptively(parameter: Tensor, factor: float) -> None:
    """Bound each output unit's gradient norm by `factor` times its weights' norm."""
    gradient = parameter.grad
    if gradient is None:
        return
    weights = parameter.detach()
    if not gradient.is_sparse:
        gradient.mul_(_shrink(_unit_norms(weights), _unit_norms(gradient), factor))
        return
    entries = _entries(parameter)
    if gradient.ndim < 2:
        entries.mul_(_shrink(_unit_norms(weights), torch.linalg.vector_norm(entries), factor))
        return
    assert parameter.grad is not None
    units, unit = parameter.grad.indices()[0].unique(return_inverse=True)
    squares = entries.reshape(len(entries), -1).square().sum(dim=1)
    norms = squares.new_zeros(len(units)).index_add_(0, unit, squares).sqrt_()
    shrink = _shrink(_unit_norms(weights[units]).flatten(), norms, factor)[unit]
    entries.mul_(shrink.view(-1, *[1] * (entries.ndim - 1)))


def _clip_values(parameters: Sequence[Tensor], bound: float) -> None:
    dense = []
    for parameter in parameters:
        if parameter.grad is not None:
            if parameter.grad.is_sparse:
                _entries(parameter).clamp_(-bound, bound)
            else:
                dense.append(parameter)
    if dense:  # torch can't do without any
        nn.utils.clip_grad_value_(dense, bound)


def _entries(parameter: Tensor) -> Tensor:
    """Return the entries of a sparse gradient, one for each place, to be changed in place."""
    assert parameter.grad is not None
    parameter.grad = parameter.grad.coalesce()
    return parameter.grad.values()


def _shrink(weights: Tensor, gradients: Tensor, factor: float) -> Tensor:
    """Return the factors for the gradients, from the norms of both."""
    allowed = weights.clamp(min=LEAST_NORM).mul_(factor)
    return torch.where(gradients > allowed, allowed / gradients, torch.ones_like(gradients))


def _unit_norms(tensor: Tensor) -> Tensor:
    """Return the norm of each output unit, the first dimension; of a vector, that of the whole."""
    if tensor.ndim < 2:
        norm: Tensor = torch.linalg.vector_norm(tensor)
    else:
        dims = tuple(range(1, tensor.ndim))
        norm = torch.linalg.vector_norm(tensor, dim=dims, keepdim=True)
    return norm
