"""The sliced Wasserstein distance between two sets of images.

Sources: Bonneel, Rabin, Peyre, Pfister, "Sliced and Radon Wasserstein Barycenters of Measures",
2015 (the distance); Deshpande, Zhang, Schwing, "Generative Modeling using the Sliced Wasserstein
Distance", CVPR 2018 (between generated and real images, along random directions).
"""

from __future__ import annotations

import torch
from torch import Tensor

DIRECTIONS = 128


def directions(size: int, count: int = DIRECTIONS) -> Tensor:
    """Return [size, count]: unit vectors in the columns, uniform on the sphere and always the same.

    Torch's global generator is left alone.
    """
    drawn = torch.randn(size, count, generator=torch.Generator().manual_seed(0))
    lengths: Tensor = drawn.norm(dim=0)
    return drawn / lengths


def project(images: Tensor, onto: Tensor) -> Tensor:
    """Project images [n, ...] on `directions`: float32 [n, count], under autocast too."""
    with torch.autocast(images.device.type, enabled=False):
        return images.float().flatten(1) @ onto


def sliced_wasserstein(first: Tensor, second: Tensor) -> float:
    """Return the mean over directions of the Wasserstein-1 distance along each.

    Of two samples of one size that is the mean distance between values of the same rank.

    Args:
        first, second: [n, count], projections of two sets of n images.

    Raises:
        ValueError: their shapes differ.
    """
    if first.shape != second.shape:
        raise ValueError(f"samples of one size are needed, not {first.shape} and {second.shape}")
    return float((first.sort(0).values - second.sort(0).values).abs().mean(dtype=torch.float64))
