"""Shapes of parameters that some of the library's can't take, and do not say so."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor


def vectors_and_matrices(name: str, parameters: Iterable[Tensor]) -> None:
    """Raise ValueError if some parameter has another number of dimensions than one or two."""
    for parameter in parameters:
        if parameter.ndim not in (1, 2):
            shape = list(parameter.shape)
            raise ValueError(f"{name} takes vectors and matrices only, not a parameter of {shape}")
