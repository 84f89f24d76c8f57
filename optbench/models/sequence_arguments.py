"""Checks of constructor arguments that models of sequences share."""

from collections.abc import Sequence


def check_sizes(model: str, **sizes: int) -> None:
    """Raise ValueError unless every size is a whole number of at least 1."""
    for key, value in sizes.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"{model}: {key}={value} is not a whole number of at least 1")


def context_of(model: str, input_shape: Sequence[int]) -> int:
    """Return the number of tokens in one example.

    Args:
        model: name of the model, for the error.
        input_shape: shape of one example, without the batch dimension.

    Raises:
        ValueError: if `input_shape` is not one positive integer: the inputs are no tokens.
    """
    if len(input_shape) != 1 or input_shape[0] < 1:
        raise ValueError(
            f"{model}: takes sequences of tokens, such as a text's; input_shape="
            f"{tuple(input_shape)} is not (context,)"
        )
    return input_shape[0]
