"""Normalised images as pixels from 0 to 1 again."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from optbench.errors import Argument, ArgumentError


class Pixels:
    """Inputs [n, C, H, W] of a data set to pixels from 0 to 1: `inputs * std + mean`.

    Args:
        mean, std: by which the data set normalises, one value a channel, or one for all; empty
            for a data set that has none.

    Raises:
        ValueError: one is empty, so nobody knows what range the inputs have.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        if not mean or not std:
            raise ArgumentError(
                "the data set has no mean and std, from which the range of its pixels would "
                "follow; if it is 0 to 1, set ",
                Argument("mean", [0]),
                " ",
                Argument("std", [1]),
            )
        self._mean, self._std = list(mean), list(std)
        self._plain = not any(self._mean) and all(value == 1 for value in self._std)

    def __call__(self, inputs: Tensor) -> Tensor:
        """Return the pixels, float32; the inputs themselves where they are that already."""
        if self._plain:
            return inputs
        mean = torch.tensor(self._mean, device=inputs.device).view(-1, 1, 1)
        std = torch.tensor(self._std, device=inputs.device).view(-1, 1, 1)
        return inputs * std + mean
