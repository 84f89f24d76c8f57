"""Multilayer perceptron."""

import math
from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from optbench.models.arguments import check_dropout, unknown_name

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "gelu": nn.GELU,
    "sigmoid": nn.Sigmoid,
    "silu": nn.SiLU,
}


class Residual(nn.Sequential):
    """Layers in turn, whose output is added to their input."""

    def forward(self, input: Tensor) -> Tensor:
        added: Tensor = input + super().forward(input)  # type: ignore[no-untyped-call]
        return added


class MLP(nn.Module):
    """Fully connected network on the flattened input.

    Each hidden layer is linear, batch norm (if wanted), activation, dropout.
    Maps inputs [N, *input_shape] to logits [N, num_classes].

    Args:
        input_shape: shape of one example, of any number of dimensions.
        num_classes: number of logits.
        hidden: width of each hidden layer; empty gives logistic regression.
        activation: relu, tanh, gelu, sigmoid or silu.
        dropout: probability of dropping a hidden unit, in [0, 1); at 0 there is no such layer.
        batch_norm: normalise before each activation.
        residual: add to each hidden layer's output its input, where they have the same width.

    Raises:
        ValueError: on an unknown activation, a width below 1 or a dropout outside [0, 1).
    """

    def __init__(
        self,
        *,
        input_shape: Sequence[int],
        num_classes: int,
        hidden: Sequence[int] = (100,),
        activation: str = "relu",
        dropout: float = 0.0,
        batch_norm: bool = False,
        residual: bool = False,
    ) -> None:
        super().__init__()
        if activation not in ACTIVATIONS:
            raise unknown_name("activation", activation, ACTIVATIONS)
        if any(width < 1 for width in hidden):
            raise ValueError(f"MLP: hidden={list(hidden)} holds a width below 1")
        check_dropout("MLP", dropout)
        widths = [math.prod(input_shape), *hidden]
        self.blocks = nn.Sequential()
        for fan_in, fan_out in pairwise(widths):
            layers: list[nn.Module] = [nn.Linear(fan_in, fan_out)]
            if batch_norm:
                layers.append(nn.BatchNorm1d(fan_out))
            layers.append(ACTIVATIONS[activation]())
            if dropout:
                layers.append(nn.Dropout(dropout))
            skips = residual and fan_in == fan_out
            self.blocks.append((Residual if skips else nn.Sequential)(*layers))
        self.head = nn.Linear(widths[-1], num_classes)

    @property
    def checkpoint_blocks(self) -> list[nn.Module]:
        """The hidden layers."""
        return list(self.blocks)

    def forward(self, inputs: Tensor) -> Tensor:
        logits: Tensor = self.head(self.blocks(inputs.flatten(1)))
        return logits
