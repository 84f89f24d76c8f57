"""Sharpness-aware minimisation around any optimizer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from optbench.optim.combined import Combined
from optbench.optim.needs import Needs
from optbench.optim.steps import Elsewhere


class SAM(Combined):
    """Steps by the gradient at the worst point nearby (Foret et al. 2021, algorithm 1).

        e       = rho g(theta) / ||g(theta)||
        adaptive: e = rho |theta|^2 g(theta) / || |theta| g(theta) ||   (Kwon et al. 2021, eq. 9)
        theta  <- what the inner optimizer makes of theta with the gradient g(theta + e)

    Norms are over all parameters together, in float32 at least. Where a group has `maximize`, the
    worst point is downhill. A step costs two gradients, of the same examples; batch-norm statistics
    see both. An inner optimizer that evaluates the loss itself, once, has both gradients taken
    where it asks for one: NAG's at the look-ahead point.

    Args:
        optimizer: the inner one; none that does more with losses than take their gradient, such as
            L-BFGS, which compares them: they are not what its gradients are of.
        rho: radius, at least 0.
        adaptive: whether the neighbourhood follows the weights' sizes.

    Raises:
        ValueError: a negative rho.
    """

    def __init__(
        self, optimizer: torch.optim.Optimizer, rho: float = 0.05, adaptive: bool = False
    ) -> None:
        if rho < 0:
            raise ValueError(f"rho must be at least 0, got {rho}")
        self.rho, self.adaptive = rho, adaptive
        super().__init__([optimizer])

    other_gradients = True
    """The inner optimizer is given other gradients than the losses have that it sees."""

    @property
    def needs(self) -> Needs:
        """The inner optimizer's, and two evaluations."""
        return replace(super().needs, objective="many")

    @torch.no_grad()
    def step(self, closure: Callable[[], Any]) -> Any:  # type: ignore[override]
        """Take one update; return the first loss of the two gradients'."""

        def worst() -> Any:
            loss = closure()
            kept = self._climb()
            try:
                closure()
            finally:
                with torch.no_grad():
                    for parameter, weights in kept:
                        parameter.copy_(weights)
            return loss

        return self._advance(Elsewhere(closure, worst))

    @torch.no_grad()
    def _climb(self) -> list[tuple[Tensor, Tensor]]:
        """Move the weights to the worst point nearby; return them as they were."""
        groups = [(p, g.get("maximize", False)) for g in self.param_groups for p in g["params"]]
        moved = [(p, maximize) for p, maximize in groups if p.grad is not None]
        if not moved:
            return []
        sizes = [_wide(p.abs()) if self.adaptive else _one(p) for p, _ in moved]
        gradients = [_wide(p.grad.to_dense()) for p, _ in moved if p.grad is not None]
        scaled = [gradient * size for gradient, size in zip(gradients, sizes, strict=True)]
        norms = torch.stack([norm.double() for norm in torch._foreach_norm(scaled)])
        norm = torch.linalg.vector_norm(norms)
        kept = [(p, p.clone()) for p, _ in moved]
        far = far_for(norm, self.rho)
        if norm.device.type == "cpu":  # elsewhere a number would be waited for
            far = far.item()
        for (parameter, maximize), gradient, size in zip(moved, scaled, sizes, strict=True):
            move(parameter, gradient, size, -far if maximize else far)
        return kept


def far_for(norm: Tensor, rho: float) -> Any:
    """Return by what a gradient of this norm is as long as rho; 0 for one of no length."""
    return torch.where(norm > 0, rho / norm, 0.0)


def move(parameter: Tensor, gradient: Tensor, size: Tensor, far: float | Tensor) -> None:
    """Add gradient * size * far; `far` a number, or a tensor of one."""
    if isinstance(far, Tensor):
        parameter.add_(gradient * (size * far.to(gradient.dtype)))
    elif far:
        parameter.addcmul_(gradient, size, value=far)


def _wide(tensor: Tensor) -> Tensor:
    """Return the tensor in at least float32, in which a norm does not overflow."""
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor


def _one(parameter: Tensor) -> Tensor:
    return torch.ones((), device=parameter.device)
