"""What tasks on sequences share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from optbench.errors import ArgumentError, Choice


def outputs_of(module: Callable[..., Any], inputs: Tensor) -> Tensor:
    """Return the outputs of a model; of one that also returns its state, the first."""
    found = module(inputs)
    outputs: Tensor = found[0] if isinstance(found, tuple) else found
    return outputs


def last_outputs(module: Callable[..., Any], inputs: Tensor, length: int) -> Tensor:
    """Return logits [n, length, classes] at the last `length` places of sequences [n, T].

    Raises:
        ValueError: the model has no output at every place.
    """
    outputs = outputs_of(module, inputs)
    if outputs.ndim != 3 or outputs.shape[1] < length:
        raise ArgumentError(
            f"the model's outputs {list(outputs.shape)} are not one for each of the {length} "
            "places wanted; take ",
            Choice("model", "gpt"),
            ", lstm, gru or rnn",
        )
    return outputs[:, -length:]
