"""Multinomial logistic regression."""

import math
from collections.abc import Sequence

from torch import Tensor, nn


class Logistic(nn.Module):
    """One linear layer on the flattened input: a convex problem under cross-entropy.

    Maps inputs [N, *input_shape] to logits [N, num_classes].

    Args:
        input_shape: shape of one example, of any number of dimensions.
        num_classes: number of logits.
    """

    def __init__(self, *, input_shape: Sequence[int], num_classes: int) -> None:
        super().__init__()
        self.head = nn.Linear(math.prod(input_shape), num_classes)

    def forward(self, inputs: Tensor) -> Tensor:
        logits: Tensor = self.head(inputs.flatten(1))
        return logits
