"""The minimum of a quadratic within a distance."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from optbench.optim.second_order.cg import conjugate_gradients

FEW = 500
"""Numbers up to which the minimum is found exactly, by the matrix's eigenvalues."""


def minimum_within(matrix: Tensor, gradient: Tensor, radius: float) -> Tensor:
    """Return s with |s| <= radius that minimises g^T s + s^T B s / 2.

    Exactly with up to 500 numbers; with more what conjugate gradients come to (Steihaug 1983).

    Args:
        matrix: B, symmetric, [n, n]; not necessarily positive definite.
        gradient: g, [n].
        radius: above 0.
    """
    if len(gradient) <= FEW:
        return exact_within(matrix, gradient, radius)
    tolerance = min(0.5, math.sqrt(float(gradient.norm())))  # superlinear (Nocedal, Wright 7.1)
    found = conjugate_gradients(
        lambda vector: matrix @ vector,
        -gradient,
        most=len(gradient),
        tolerance=tolerance,
        radius=radius,
    )
    return found.x


def exact_within(matrix: Tensor, gradient: Tensor, radius: float) -> Tensor:
    """Return the same by the eigenvalues of B (More, Sorensen 1983), in float64.

    s = -(B + shift I)^-1 g, where shift is 0 or makes |s| the radius, and B + shift I has no
    negative eigenvalue. Where g has no part along the least one's vectors, no shift may reach the
    radius; then as much of such a vector is added as does. NaN where the eigenvalues aren't found.
    """
    try:
        values, vectors = torch.linalg.eigh(matrix.double())
    except RuntimeError:  # torch's LinAlgError: what is not finite, and now and then what is
        return torch.full_like(gradient, torch.nan)
    along = vectors.T @ gradient.double()
    tiny = max(float(values.abs().max()), 1e-300) * torch.finfo(values.dtype).eps * len(values)
    s: Tensor = vectors @ _weights(values, along, radius, tiny)
    return s.to(gradient.dtype)


def _weights(values: Tensor, along: Tensor, radius: float, tiny: float) -> Tensor:
    """Return s along the eigenvectors."""
    least = float(values[0])
    if least > tiny:
        inside = -along / values
        if float(inside.norm()) <= radius:
            return inside
    at_edge = (values - least).abs() <= tiny
    if float(along[at_edge].norm()) <= tiny * float(along.norm()):  # More, Sorensen's hard case
        rest = torch.where(at_edge, 0.0, -along / torch.where(at_edge, 1.0, values - least))
        length = float(rest.norm())
        if length < radius:
            rest[0] = math.sqrt(radius**2 - length**2) if least < tiny else 0.0
            return rest
    return -along / (values + _shift(values, along, radius, tiny))


def _shift(values: Tensor, along: Tensor, radius: float, tiny: float) -> float:
    """Return the shift at which the solution's length is the radius: by Newton's method on 1 / |s|,
    which is all but linear, kept between bounds."""
    low = max(0.0, -float(values[0])) + tiny
    high = max(low, float(along.norm()) / radius - float(values[0]))
    shift = low
    for _ in range(100):
        shifted = values + shift
        s = along / shifted
        length = float(s.norm())
        if abs(length - radius) <= 1e-12 * radius:
            break
        if length > radius:
            low = shift
        else:
            high = shift
        change = float((s.square() / shifted).sum())
        step = (length / radius - 1.0) * length**2 / change if change > 0 else math.inf
        shift = shift + step if low < shift + step < high else 0.5 * (low + high)
    return shift
