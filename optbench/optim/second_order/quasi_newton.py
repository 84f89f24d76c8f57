"""What quasi-Newton methods share: the pair that a step gives, and how far to try first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from optbench.optim.second_order.damping import powell
from optbench.optim.second_order.line import Line
from optbench.optim.second_order.line_search import Trial


def pair(line: Line, taken: Trial, gradient: Tensor, how: str) -> tuple[Tensor, Tensor] | None:
    """Return step and change of gradient, both of the same batch, as the matrix takes them in.

    Where the search has not seen to it that the two go together they are damped (Powell 1978), so
    that the matrix stays positive definite.

    Args:
        line: that was searched; its direction is -H g, or -g.
        taken: where it led.
        gradient: g, at the line's beginning.
        how: see `Line.search`.
    """
    s = taken.size * line.direction
    assert taken.gradient is not None
    y = taken.gradient - gradient
    if how not in ("strong_wolfe", "exact") or float(s @ y) <= 0:
        y = powell(s, y, -taken.size * gradient)
    eps = torch.finfo(s.dtype).eps
    # What rounding has made of it is no curvature; NaN is none either.
    return (s, y) if float(s @ y) > eps * float(s.norm()) * float(y.norm()) else None


def first_size(settings: Mapping[str, Any], gradient: Tensor, fresh: bool) -> float:
    """Return the size that is tried first: lr; of the steepest descent less where it is steep."""
    lr = float(settings["lr"])
    return lr * min(1.0, 1.0 / max(float(gradient.abs().sum()), 1e-30)) if fresh else lr
