"""Raw pixels to network inputs: (x / 255 - mean) / std."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class Normaliser:
    """(x - mean) / std for each channel, as float32 on the device; uint8 x is divided by 255 first.

    mean and std have one value a channel, in units of the scaled pixels. The result for an image
    does not depend, to the bit, on the images it is normalised with.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float], device: torch.device) -> None:
        self._mean = torch.tensor(list(mean), dtype=torch.float32, device=device).view(-1, 1, 1)
        self._std = torch.tensor(list(std), dtype=torch.float32, device=device).view(-1, 1, 1)

    def __call__(self, images: Tensor, out: Tensor | None = None) -> Tensor:
        """Return a new float32 tensor [n, C, H, W] of uint8 or floating images of that shape.

        Args:
            images: as they are stored.
            out: where it is put, of the result's shape; default: a new tensor.
        """
        scaled = images.to(torch.float32, copy=True) if out is None else out.copy_(images)
        if images.dtype == torch.uint8:
            scaled.div_(255.0)
        return scaled.sub_(self._mean).div_(self._std)
