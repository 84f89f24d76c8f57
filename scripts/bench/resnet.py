"""ResNet-18 on 32x32 images, in batches that take about as long as one asks for."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

import torch
from torch.nn.functional import cross_entropy

from optbench.models.torchvision_model import torchvision_classifier
from runs import ONLY_STEPS

LARGEST_BATCH = 256


MOMENTUM = ("optimizer=sgd", "optimizer.momentum=0.9", "optimizer.lr=1e-5")
"""With a learning rate at which hundreds of steps of one example leave gradients to measure."""


def overrides(batch_size: int, *more: str, optimizer: Sequence[str] = MOMENTUM) -> list[str]:
    """A run of it that only takes steps."""
    return [
        *ONLY_STEPS,
        "dataset=synthetic",
        f"dataset.train_size={64 * batch_size}",
        "dataset.val_fraction=0",
        "model=resnet18",
        *optimizer,
        f"batch_size={batch_size}",
        *more,
    ]


def batch_for(milliseconds: float) -> int:
    """The power of two whose step takes the time that is nearest, with torch's present threads."""
    model = torchvision_classifier("resnet18", input_shape=(3, 32, 32), num_classes=10)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, fused=True)

    def step(size: int) -> float:
        inputs, targets = torch.randn(size, 3, 32, 32), torch.zeros(size, dtype=torch.int64)
        start = time.perf_counter()
        cross_entropy(model(inputs), targets).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return 1000 * (time.perf_counter() - start)

    size, taken = 1, {}
    while size <= LARGEST_BATCH:
        taken[size] = min(step(size) for _ in range(5))
        if taken[size] >= milliseconds:
            break
        size *= 2
    return min(taken, key=lambda batch: abs(math.log(taken[batch] / milliseconds)))
