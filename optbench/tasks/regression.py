"""Numbers to be predicted: mean squared error."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import mse_loss

from optbench.tasks.base import Modules, Task
from optbench.tasks.sequences import outputs_of

Pairs = tuple[Tensor, Tensor]


class Regression(Task):
    """Mean squared error of the outputs, scored by `loss`.

    A batch is (inputs, targets), targets float [n, numbers]. Of a model with outputs at every place
    of a sequence, [n, T, numbers], the last place counts.
    """

    def predict(self, modules: Modules, batch: Pairs, player: str) -> Tensor:
        """The numbers [n, numbers]."""
        return _predictions(modules[player], batch[0])

    def criterion(self, outputs: Tensor, batch: Pairs) -> Tensor:
        """The mean squared error over examples, and over the numbers of each."""
        return mse_loss(outputs, batch[1])

    def score(self, modules: Modules, batch: Pairs) -> dict[str, Tensor]:
        """The squared error of each example, a mean over its numbers, summed."""
        inputs, targets = batch
        outputs = _predictions(modules["model"], inputs).float()
        squares = mse_loss(outputs, targets, reduction="none")
        return {"loss": squares.mean(dim=1).sum()}


def _predictions(module: object, inputs: Tensor) -> Tensor:
    outputs = outputs_of(module, inputs)  # type: ignore[arg-type]
    return outputs[:, -1] if outputs.ndim == 3 else outputs
