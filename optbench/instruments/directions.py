"""Directions in the space of all parameters, each a list of tensors of their shapes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

Direction = list[Tensor]


def inner(one: Sequence[Tensor], other: Sequence[Tensor]) -> float:
    """Return the inner product, summed in double precision."""
    pairs = zip(one, other, strict=True)
    parts = [(a.detach().double() * b.detach().double()).sum() for a, b in pairs]
    return float(torch.stack(parts).sum())


def norm(direction: Sequence[Tensor]) -> float:
    """Return the Euclidean norm over all tensors together."""
    return math.sqrt(inner(direction, direction))


def cosine(one: Sequence[Tensor], other: Sequence[Tensor]) -> float:
    """Return the cosine of the angle between two directions; NaN if one is 0."""
    size = norm(one) * norm(other)
    return inner(one, other) / size if size > 0 else float("nan")


def count(direction: Sequence[Tensor]) -> int:
    """Return how many numbers there are."""
    return sum(tensor.numel() for tensor in direction)


def plus(point: Sequence[Tensor], direction: Sequence[Tensor], far: float = 1.0) -> Direction:
    """Return point + far direction."""
    pairs = zip(point, direction, strict=True)
    return [there.detach() + way.to(there.dtype) * far for there, way in pairs]


def minus(one: Sequence[Tensor], other: Sequence[Tensor]) -> Direction:
    """Return one - other."""
    return [a.detach() - b.detach() for a, b in zip(one, other, strict=True)]


def scaled(direction: Sequence[Tensor], sizes: Sequence[Tensor] | None) -> Direction:
    """Return the direction times sizes, number by number; None leaves it as it is."""
    if sizes is None:
        return [*direction]
    return [way * size for way, size in zip(direction, sizes, strict=True)]


def normal(like: Sequence[Tensor], generator: torch.Generator) -> Direction:
    """Draw standard normal numbers; the same on every device.

    Args:
        like: tensors whose shapes, types and devices they get.
        generator: of the CPU.
    """
    return [
        torch.randn(each.shape, generator=generator).to(device=each.device, dtype=each.dtype)
        for each in like
    ]


def generator(seed: int) -> torch.Generator:
    """Return a generator of the CPU's that begins at a seed."""
    return torch.Generator().manual_seed(seed)


def filter_normalised(direction: Sequence[Tensor], point: Sequence[Tensor]) -> Direction:
    """Return the direction with each filter of the norm that the point's has (Li et al. 2018).

    A filter is what makes one output: `tensor[i]` of a tensor of two or more dimensions. Tensors of
    fewer, biases and the scales of norms, stay where they are, as in the paper's code; unless there
    is nothing else, as in a test function: then each is one filter.
    """
    alone = all(there.ndim < 2 for there in point)
    made = []
    for way, there in zip(direction, point, strict=True):
        if there.ndim >= 2:
            across = tuple(range(1, there.ndim))
            have = torch.linalg.vector_norm(way, dim=across, keepdim=True)
            want = torch.linalg.vector_norm(there.detach(), dim=across, keepdim=True)
            made.append(way * want / have.clamp_min(torch.finfo(way.dtype).tiny))
        elif alone:
            have, want = torch.linalg.vector_norm(way), torch.linalg.vector_norm(there.detach())
            made.append(way * want / have.clamp_min(torch.finfo(way.dtype).tiny))
        else:
            made.append(torch.zeros_like(way))
    return made
