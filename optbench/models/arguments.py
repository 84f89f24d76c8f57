"""Checks of constructor arguments that several models share."""

import difflib
from collections.abc import Iterable, Sequence


def image_dimensions(model: str, input_shape: Sequence[int]) -> tuple[int, int, int]:
    """Return `input_shape` as (channels, height, width).

    Args:
        model: name of the model, for the error.
        input_shape: shape of one example, without the batch dimension.

    Raises:
        ValueError: if `input_shape` is not three positive integers.
    """
    if len(input_shape) != 3 or min(input_shape) < 1:
        raise ValueError(
            f"{model}: input_shape={tuple(input_shape)} is not (channels, height, width)"
        )
    channels, height, width = input_shape
    return channels, height, width


def check_dropout(model: str, dropout: float) -> None:
    """Raise ValueError unless `dropout` is a probability in [0, 1)."""
    if not 0.0 <= dropout < 1.0:
        raise ValueError(f"{model}: dropout={dropout} is not in [0, 1)")


def unknown_name(key: str, name: object, known: Iterable[str]) -> ValueError:
    """Return the error for a `name` that is not `known`, with the nearest spellings.

    Args:
        key: the argument that holds the name.
        name: the value found there.
        known: all names that it accepts.
    """
    known = list(known)
    nearest = difflib.get_close_matches(str(name).lower(), known, n=3, cutoff=0.55)
    hint = f"did you mean {' or '.join(nearest)}?" if nearest else f"choose from {', '.join(known)}"
    return ValueError(f"{key}={name!r} is not known; {hint}")
