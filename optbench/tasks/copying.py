"""Symbols to be remembered and said again at the end of a sequence."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import cross_entropy

from optbench.tasks.base import Modules, Task, Uniform
from optbench.tasks.drawn import classes
from optbench.tasks.examples import tokens_wanted
from optbench.tasks.sequences import last_outputs

Sequences = tuple[Tensor, Tensor]


class Copying(Task):
    """Cross-entropy at the last places of a sequence; scored by `loss` and `accuracy`, per symbol.

    A batch is (inputs, targets), int64 [n, T] and [n, k]: the logits at the last k places are held
    against the targets. `label_smoothing` is for training only.
    """

    metrics = ("loss", "accuracy")

    def __init__(self, label_smoothing: float = 0.0) -> None:
        self.label_smoothing = label_smoothing

    def predict(self, modules: Modules, batch: Sequences, player: str) -> Tensor:
        """Return logits [n, k, classes] at the last k places."""
        inputs, targets = batch
        return last_outputs(modules[player], inputs, targets.shape[1])

    def criterion(self, outputs: Tensor, batch: Sequences) -> Tensor:
        """Return the mean cross-entropy over all symbols of the batch."""
        logits, targets = outputs.flatten(0, 1), batch[1].flatten()
        return cross_entropy(logits, targets, label_smoothing=self.label_smoothing)

    @property
    def draws(self) -> bool:
        """Return True: each symbol is drawn by its logits."""
        return True

    def drawn_loss(self, outputs: Tensor, batch: Sequences, uniform: Uniform) -> Tensor:
        """Return the mean cross-entropy of symbols drawn by the logits."""
        return cross_entropy(outputs.flatten(0, 1), classes(outputs, uniform).flatten())

    def terms(self, batch: Sequences) -> int:
        """Return the number of symbols."""
        return batch[1].numel()

    def wanted(self, batch: Sequences) -> str | None:
        """Return what an example has to be where it is no sequence of symbols."""
        return tokens_wanted(batch, "the symbols at the last places")

    def score(self, modules: Modules, batch: Sequences) -> dict[str, Tensor]:
        """Return the mean loss of each example's symbols and the part that is right, summed."""
        inputs, targets = batch
        logits = last_outputs(modules["model"], inputs, targets.shape[1]).float()
        losses = cross_entropy(logits.transpose(1, 2), targets, reduction="none")
        right = (logits.argmax(dim=2) == targets).double()
        return {"loss": losses.mean(dim=1).sum(), "accuracy": right.mean(dim=1).sum()}
