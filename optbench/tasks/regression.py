"""Numbers to be predicted: mean squared error, or a chosen loss."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from optbench.tasks.base import Modules, Task, Uniform
from optbench.tasks.chosen_loss import Loss, mean_loss
from optbench.tasks.drawn import squared_error_of_drawn
from optbench.tasks.examples import are_pairs
from optbench.tasks.sequences import outputs_of

Pairs = tuple[Tensor, Tensor]


class Regression(Task):
    """Mean squared error of the outputs, scored by `loss`.

    A batch is (inputs, targets), targets [n, numbers], or [n] of one number each. Of a model with
    outputs at every place of a sequence, [n, T, numbers], the last place counts.

    Args:
        loss: in place of the squared error, of (outputs, targets), in training and in scores; see
            `mean_loss`.
    """

    def __init__(self, loss: Loss | None = None) -> None:
        self.chosen = loss

    def predict(self, modules: Modules, batch: Pairs, player: str) -> Tensor:
        """Return the numbers [n, numbers]."""
        return _predictions(modules[player], batch[0])

    def criterion(self, outputs: Tensor, batch: Pairs) -> Tensor:
        """Return the mean loss over examples, and over the numbers of each."""
        targets = _targets(batch[1], outputs)
        if self.chosen is not None:
            return mean_loss(self.chosen, outputs, targets)
        return mse_loss(outputs, targets)

    @property
    def draws(self) -> bool:
        """Whether the loss is the squared error."""
        return self.chosen is None

    def drawn_loss(self, outputs: Tensor, batch: Pairs, uniform: Uniform) -> Tensor:
        """Return the mean squared error of numbers drawn around the outputs."""
        return squared_error_of_drawn(outputs, uniform, "mean")

    def terms(self, batch: Pairs) -> int:
        """Return how many numbers there are to be predicted."""
        return batch[1].numel() if self.chosen is None else len(batch[1])

    def wanted(self, batch: Pairs) -> str | None:
        """Return what an example has to be where it is no pair of tensors."""
        return None if are_pairs(batch) else "(inputs, targets), targets a tensor or a number"

    def score(self, modules: Modules, batch: Pairs) -> dict[str, Tensor]:
        """Return the loss of each example, a mean over its numbers, summed."""
        outputs = _predictions(modules["model"], batch[0])
        outputs = outputs.float()
        targets = _targets(batch[1], outputs)
        if outputs.shape != targets.shape:
            raise ValueError(
                f"the model gives numbers {list(outputs.shape)}, the targets are "
                f"{list(targets.shape)}"
            )
        if self.chosen is not None:
            return {"loss": mean_loss(self.chosen, outputs, targets) * len(targets)}
        squares = mse_loss(outputs, targets, reduction="none")
        return {"loss": squares.mean(dim=1).sum()}


def _predictions(module: object, inputs: Tensor) -> Tensor:
    outputs = outputs_of(module, inputs)  # type: ignore[arg-type]
    return outputs[:, -1] if outputs.ndim == 3 else outputs


def _targets(targets: Tensor, outputs: Tensor) -> Tensor:
    """Return targets in the outputs' layout, single numbers as rows of one, and no wider."""
    if targets.ndim == 1 and outputs.ndim == 2:
        targets = targets[:, None]
    if targets.dtype == torch.float32 or outputs.dtype == torch.float64:
        return targets
    return targets.float()
