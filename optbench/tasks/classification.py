"""Classification: cross-entropy or a chosen loss, scored by it and accuracy."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from optbench.errors import ArgumentError, Choice
from optbench.tasks.base import Modules, Task, Uniform
from optbench.tasks.chosen_loss import Loss, mean_loss
from optbench.tasks.drawn import classes
from optbench.tasks.examples import labels_wanted

LabelledBatch = tuple[Tensor, Tensor]


class Classification(Task):
    """Logits against integer labels.

    A batch is `(inputs, targets)`: float `[n, ...]` and int64 `[n]`; the model gives logits
    `[n, classes]`.

    Args:
        label_smoothing: part of the target spread over all classes (Szegedy et al. 2016, section
            7), in training only; scores are of the plain labels.
        num_classes: of the data set; the model has to give at least so many logits.
        loss: in place of cross-entropy, of (logits, labels), in training and in scores; see
            `mean_loss`.
    """

    metrics = ("loss", "accuracy")
    metric = "val/accuracy"
    mode = "max"

    def __init__(
        self, label_smoothing: float = 0.0, num_classes: int = 1, loss: Loss | None = None
    ) -> None:
        self.label_smoothing, self.chosen = label_smoothing, loss
        self.num_classes = num_classes

    def predict(self, modules: Modules, batch: LabelledBatch, player: str) -> Tensor:
        """Return the logits."""
        logits: Tensor = modules[player](batch[0])
        return logits

    def criterion(self, outputs: Tensor, batch: LabelledBatch) -> Tensor:
        """Return the mean cross-entropy of logits, or what was chosen instead."""
        if self.chosen is not None:
            return mean_loss(self.chosen, outputs, batch[1])
        return cross_entropy(outputs, batch[1], label_smoothing=self.label_smoothing)

    @property
    def draws(self) -> bool:
        """Whether the loss is cross-entropy."""
        return self.chosen is None

    def drawn_loss(self, outputs: Tensor, batch: LabelledBatch, uniform: Uniform) -> Tensor:
        """Return the mean cross-entropy of labels drawn by the logits."""
        return cross_entropy(outputs, classes(outputs, uniform))

    def size(self, batch: LabelledBatch) -> int:
        """Return the number of labels."""
        return len(batch[1])

    def _check(self, logits: Tensor, targets: Tensor) -> None:
        """Raise unless logits and labels fit each other.

        A label beyond the logits shows only when one comes, and on a GPU as a crash; and torch
        takes numbers for probabilities of classes.
        """
        examples = len(targets)
        if self.chosen is None and targets.is_floating_point():
            kind = str(targets.dtype).removeprefix("torch.")
            what = f"the labels are {kind}, not whole numbers; "
            raise ArgumentError(what, Choice("task", "regression"), " is theirs")
        if not isinstance(logits, Tensor):
            raise TypeError(f"the model gives a {type(logits).__name__}, not a tensor of logits")
        shape = list(logits.shape)
        if len(shape) != 2 or shape[0] != examples or shape[1] < self.num_classes:
            raise ValueError(
                f"the model gives a tensor of shape {shape}, not logits [{examples}, "
                f"{self.num_classes}]"
            )

    def wanted(self, batch: LabelledBatch) -> str | None:
        """Return what an example has to be where there are no labels of the classes."""
        return labels_wanted(batch, 1 if self.chosen is not None else self.num_classes)

    def score(self, modules: Modules, batch: LabelledBatch) -> dict[str, Tensor]:
        """Return the summed loss, and the number of examples whose largest logit is right."""
        inputs, targets = batch
        logits = modules["model"](inputs)
        self._check(logits, targets)
        logits = logits.float()
        chosen = self.chosen
        return {
            "loss": cross_entropy(logits, targets, reduction="sum")
            if chosen is None
            else mean_loss(chosen, logits, targets) * len(targets),
            "accuracy": torch.sum(logits.argmax(dim=1) == targets),
        }
