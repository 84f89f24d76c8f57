"""Damping that follows how well a quadratic model of the loss foretells it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

OMEGA = 0.9
"""By which damping changes, for each step since it last did (kfac-jax)."""

LEAST, MOST = 1e-8, 1e8


def quadratic_change(
    objective: Any, parameters: Sequence[nn.Parameter], steps: Sequence[Tensor]
) -> Tensor:
    """Return g^T s + 1/2 s^T M s, with M the Gauss-Newton matrix at the parameters: what the loss
    changes by if it is quadratic. It is without the damping, as kfac-jax has it."""
    with torch.enable_grad():
        products = objective.ggnvp(parameters, steps)
    parts = [
        torch.sum(step * (p.grad + product / 2))
        for p, step, product in zip(parameters, steps, products, strict=True)
        if p.grad is not None
    ]
    return torch.stack(parts).sum()


def adapted(factor: float, ratio: float, steps: int, damping: float) -> float:
    """Return by what damping is to be multiplied from now on.

    Args:
        factor: by what it was.
        ratio: the loss's change over what the quadratic model said (Martens 2010, section 4.1).
        steps: since it last changed.
        damping: as it was, with the factor.
    """
    if not math.isfinite(ratio) or ratio < 0.25:
        change = OMEGA**-steps
    elif ratio > 0.75:
        change = OMEGA**steps
    else:
        return factor
    return factor * min(max(damping * change, LEAST), MOST) / damping
