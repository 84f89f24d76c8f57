"""A test function from a run's config, and its values on a grid. Torch when it is called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from optbench.assemble.create import create

OURS = ("task", "init", "init_std", "init_bias")
"""Keys of the model node that are not the function's own."""

Point = tuple[float, float]


@dataclass(frozen=True)
class Plane:
    """A function of two numbers.

    Attributes:
        function: the model.
        start: where x begins.
        minima: where it is least.
    """

    function: Any
    start: Point
    minima: list[Point]

    def gaps(self, xs: list[float], ys: list[float]) -> list[list[float]]:
        """Return the value less the minimum at all points of a grid, a row for each y."""
        import torch

        like = self.function.x
        across, up = (torch.tensor(side, dtype=like.dtype) for side in (xs, ys))
        grid = torch.stack(torch.meshgrid(across, up, indexing="xy"), dim=-1)
        with torch.no_grad():
            rows: list[list[float]] = self.function.gap(grid).tolist()
        return rows


def plane(node: Mapping[str, Any]) -> Plane:
    """Return the function of a config's model node, which has two dimensions.

    Raises:
        UserError: it can't be built.
    """
    function = create({k: v for k, v in node.items() if k not in OURS}, "model")
    first, second = function.x.tolist()
    return Plane(function, (first, second), [(x, y) for x, y in function.minima.tolist()])
