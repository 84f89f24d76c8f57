"""A test function: its own value is minimised, its minimum is known."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from optbench.errors import ArgumentError, Choice
from optbench.tasks.base import Modules, Task

DRAWN = 2
"""Up to so many dimensions the point itself is among the scores, so that its path can be drawn."""


class Function(Task):
    """The values that the model gives are the loss; it is a model of `optbench.models.functions`.

    A batch is `(noise,)`, float [n, dim]. Scores:

        loss       mean value over the draws, noise included if they have some
        loss_gap   f(x) - min f, without noise
        distance   from x to the nearest minimum
        x0, x1     the point, in up to two dimensions

    Args:
        input_shape: (dim,).

    Raises:
        ValueError: examples of another shape.
    """

    metric = "val/loss_gap"
    mode = "min"
    curved = False
    epochs = False  # its examples are noise or nothing: the last value counts, not an epoch's mean

    def __init__(self, input_shape: Sequence[int]) -> None:
        if len(input_shape) != 1:
            what = f"examples of shape {list(input_shape)} are no noise vectors; take "
            raise ArgumentError(what, Choice("dataset", "draws"))
        self._drawn = input_shape[0] if input_shape[0] <= DRAWN else 0
        coordinates = [f"x{number}" for number in range(self._drawn)]
        self.metrics = ("loss", "loss_gap", "distance", *coordinates)

    def predict(self, modules: Modules, batch: tuple[Tensor], player: str) -> Tensor:
        """Return the values, one for each noise vector."""
        values: Tensor = modules[player](batch[0])
        return values

    def criterion(self, outputs: Tensor, batch: tuple[Tensor]) -> Tensor:
        """Return the mean of the values."""
        return outputs.mean()

    def score(self, modules: Modules, batch: tuple[Tensor]) -> dict[str, Tensor]:
        """Return sums over the draws; all but the loss are alike for each of them."""
        function = modules["model"]
        x: Tensor = function.x  # type: ignore[attr-defined]
        count = len(batch[0])
        scores = {
            "loss": function(batch[0]).sum(),
            "loss_gap": function.gap(x) * count,  # type: ignore[attr-defined]
            "distance": function.distance(x) * count,  # type: ignore[attr-defined]
        }
        for number in range(self._drawn):
            scores[f"x{number}"] = x[number] * count
        return scores
