"""A function to minimise, as a model whose only parameter is the point."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

DTYPES = {"float64": torch.float64, "float32": torch.float32}

Start = float | Sequence[float] | None
"""Where to begin: a number for each coordinate, one for all, or None for the usual start."""


class Function(nn.Module):
    """f and the point x at which it is: what an optimizer moves is `x`, float [dim].

    Called with noise [n, dim] it gives n noisy values, f(x) + <noise_i, x>: their mean has the
    gradient of f and the mean noise added, which is additive gradient noise. Functions whose noise
    enters otherwise override `forward`.

    A subclass gives `value`. All points are [..., dim] in the dtype of x, all values [...].

    Args:
        start: x at the beginning, [dim].
        minima: all points with the least value, [m, dim]; a function with too many to list
            overrides `distance`.
        minimum: the value there.
        dtype: float64 or float32, of the point and of all arithmetic.

    Raises:
        ValueError: another dtype.
    """

    x: nn.Parameter
    minima: Tensor
    flat = False
    """Whether the gradient is 0 everywhere."""

    def __init__(
        self, start: Tensor, minima: Tensor, minimum: float = 0.0, dtype: str = "float64"
    ) -> None:
        super().__init__()
        self.minimum = minimum
        self.x = nn.Parameter(start.to(dtype_of(dtype)).clone())
        self.keep("minima", minima)

    def keep(self, name: str, constant: Tensor | None) -> None:
        """Keep a constant in the point's dtype; it moves with the module, and is not saved."""
        kept = None if constant is None else constant.to(self.x.dtype)
        self.register_buffer(name, kept, persistent=False)

    def value(self, x: Tensor) -> Tensor:
        """Return f, without noise."""
        raise NotImplementedError

    def gap(self, x: Tensor) -> Tensor:
        """Return f less its minimum; overridden where the difference would lose digits."""
        return self.value(x) - self.minimum

    def distance(self, x: Tensor) -> Tensor:
        """Return the Euclidean distance to the nearest minimum."""
        away: Tensor = torch.linalg.vector_norm(x.unsqueeze(-2) - self.minima, dim=-1)
        return away.amin(-1)

    def forward(self, noise: Tensor) -> Tensor:
        """Map noise [n, dim] to n values at the present point."""
        values: Tensor = self.value(self.x) + noise.to(self.x.dtype) @ self.x
        return values


def dtype_of(name: str) -> torch.dtype:
    """Return the dtype of this name.

    Raises:
        ValueError: neither float64 nor float32.
    """
    if name not in DTYPES:
        raise ValueError(f"dtype={name}: a function is computed in {' or '.join(DTYPES)}")
    return DTYPES[name]


def check_dim(function: str, dim: int, least: int, most: int | None = None) -> None:
    """Raise ValueError unless the function has `dim` dimensions: `least` to `most` (None: any)."""
    if least <= dim and (most is None or dim <= most):
        return
    if least == most:
        raise ValueError(f"dim={dim}: {function} has only {least} dimension{'s' * (least > 1)}")
    raise ValueError(f"dim={dim}: {function} has at least {least} dimension{'s' * (least > 1)}")


def starting_point(start: Start, usual: Tensor) -> Tensor:
    """Return the start as float64 [dim]: what is asked for, or else the usual one.

    Raises:
        ValueError: not as many finite numbers as `usual` has.
    """
    dim = len(usual)
    if start is None:
        return usual.double()
    given = [start] * dim if isinstance(start, int | float) else list(start)
    numbers = all(isinstance(x, int | float) and not isinstance(x, bool) for x in given)
    point = torch.tensor(given if numbers else [], dtype=torch.float64)
    if len(point) != dim or not bool(point.isfinite().all()):
        raise ValueError(f"start={start}: expected {dim} finite numbers, or one for all of them")
    return point
