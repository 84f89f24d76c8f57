"""Classification: cross-entropy, scored by loss and accuracy."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from optbench.tasks.base import Modules, Task

LabelledBatch = tuple[Tensor, Tensor]


class Classification(Task):
    """Logits against integer labels.

    A batch is `(inputs, targets)`: float `[n, ...]` and int64 `[n]`; the model gives logits
    `[n, classes]`.

    Args:
        label_smoothing: part of the target spread over all classes (Szegedy et al. 2016, section
            7), in training only; scores are of the plain labels.
    """

    metrics = ("loss", "accuracy")
    metric = "val/accuracy"
    mode = "max"

    def __init__(self, label_smoothing: float = 0.0) -> None:
        self.label_smoothing = label_smoothing

    def loss(self, modules: Modules, batch: LabelledBatch, player: str) -> Tensor:
        """Mean cross-entropy of the batch."""
        inputs, targets = batch
        return cross_entropy(modules[player](inputs), targets, label_smoothing=self.label_smoothing)

    def size(self, batch: LabelledBatch) -> int:
        """The number of labels."""
        return len(batch[1])

    def score(self, modules: Modules, batch: LabelledBatch) -> dict[str, Tensor]:
        """Summed cross-entropy, and the number of examples whose largest logit is right."""
        inputs, targets = batch
        logits = modules["model"](inputs).float()
        return {
            "loss": cross_entropy(logits, targets, reduction="sum"),
            "accuracy": torch.sum(logits.argmax(dim=1) == targets),
        }
