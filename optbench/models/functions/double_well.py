"""Two wells of one depth, each as wide as is asked for."""

from __future__ import annotations

import torch
from torch import Tensor

from optbench.models.functions.base import Function, Start, check_dim, starting_point


class DoubleWell(Function):
    """f(x) = depth (u^2 - 1)^2 in one dimension, u = x / left where x < 0, x / right elsewhere.

    Its minima, of value 0, are at -left and right, with the curvatures 8 depth / left^2 and
    8 depth / right^2; between them, at 0, is a barrier as high as `depth`. So they differ in
    sharpness alone. Value and gradient are continuous at 0, and the curvature where both are as
    wide.

    Reference: the potential of Kramers, "Brownian motion in a field of force and the diffusion
    model of chemical reactions", Physica 7, 1940, as a quartic.

    Args:
        dim: 1.
        depth: of both wells, above 0.
        left, right: half widths, above 0.
        start: None for the middle of the right well's near side.
        dtype: see `Function`.

    Raises:
        ValueError: an argument out of range.
    """

    def __init__(
        self,
        *,
        dim: int = 1,
        depth: float = 1.0,
        left: float = 1.0,
        right: float = 1.0,
        start: Start = None,
        dtype: str = "float64",
    ) -> None:
        check_dim("a double well", dim, 1, 1)
        for name, value in (("depth", depth), ("left", left), ("right", right)):
            if not 0 < value < float("inf"):
                raise ValueError(f"{name}={value}: expected a number above 0")
        self.depth, self.left, self.right = depth, left, right
        point = starting_point(start, torch.tensor([right / 2], dtype=torch.float64))
        minima = torch.tensor([[-left], [right]], dtype=torch.float64)
        super().__init__(point, minima, dtype=dtype)

    def value(self, x: Tensor) -> Tensor:
        u = torch.where(x < 0, x / self.left, x / self.right)
        return self.depth * (u.square() - 1.0).square().sum(-1)
