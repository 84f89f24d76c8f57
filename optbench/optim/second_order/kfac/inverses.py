"""Damped inverses of Kronecker factors: by Cholesky, or by eigenvectors."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from optbench.optim.second_order.kfac.factors import State, averaged

Method = Literal["cholesky", "eigen", "ekfac"]
RESULTS: dict[Method, tuple[str, ...]] = {
    "cholesky": ("A_inverse", "G_inverse"),
    "eigen": ("A_vectors", "G_vectors", "scales"),
    "ekfac": ("A_vectors", "G_vectors", "scales"),
}
"""What each method leaves in a layer's state."""


def cost(state: State) -> float:
    """Return how much work the inverses of a layer are."""
    sides = [(state[name].shape, state[name].ndim == 3) for name in ("A", "G")]
    return float(sum(shape[0] * shape[1] ** (3 if full else 1) for shape, full in sides))


def make_room(state: State, method: Method) -> list[Tensor]:
    """Return the tensors that `invert` fills, put into the state where they are not yet."""
    a, g = state["A"], state["G"]
    shapes = {"A_inverse": a.shape, "G_inverse": g.shape}
    shapes["scales"] = torch.Size([a.shape[0], g.shape[1], a.shape[1]])
    for name, factor in (("A_vectors", a), ("G_vectors", g)):
        shapes[name] = factor.shape if factor.ndim == 3 else torch.Size([0])
    for name in RESULTS[method]:
        if name not in state:
            state[name] = a.new_zeros(shapes[name])
    return [state[name] for name in RESULTS[method]]


def invert(state: State, method: Method, damping: float, decay: float) -> None:
    """Fill a layer's inverses, or eigenvectors and scales, from its averages."""
    a, g = averaged(state, "A", decay), averaged(state, "G", decay)
    if method == "cholesky":
        of_a, of_g = damped(a, g, damping)
        state["A_inverse"].copy_(inverse(of_a))
        state["G_inverse"].copy_(inverse(of_g))
        return
    found = []
    for name, factor in (("A_vectors", a), ("G_vectors", g)):
        if factor.ndim == 3:
            values, vectors = torch.linalg.eigh(factor)
            state[name].copy_(vectors)
            found.append(values.clamp_(min=0))
        else:
            found.append(factor)
    torch.mul(found[1][:, :, None], found[0][:, None, :], out=state["scales"])


def damped(a: Tensor, g: Tensor, damping: float) -> tuple[Tensor, Tensor]:
    """Return A + pi sqrt(damping) I and G + sqrt(damping) / pi I, whose product is near
    A (x) G + damping I (Martens & Grosse 2015, section 6.3).

    pi^2 is the mean eigenvalue of A over that of G.
    """
    least = torch.finfo(a.dtype).tiny
    pi = (_trace(a).clamp_(min=least) / _trace(g).clamp_(min=least)).sqrt_()
    pi.clamp_(1e-6, 1e6)
    root = damping**0.5
    return _lifted(a, pi * root), _lifted(g, root / pi)


def _trace(factor: Tensor) -> Tensor:
    """Return the mean of the diagonal, of each group."""
    diagonal = factor if factor.ndim == 2 else factor.diagonal(dim1=1, dim2=2)
    return diagonal.mean(dim=1)


def _lifted(factor: Tensor, by: Tensor) -> Tensor:
    """Return the factors with a number of each group's added to the diagonal."""
    found = factor.clone()
    diagonal = found if found.ndim == 2 else found.diagonal(dim1=1, dim2=2)
    diagonal.add_(by[:, None])
    return found


def inverse(factor: Tensor) -> Tensor:
    """Return inverses of positive matrices [groups, n, n], or of diagonals [groups, n].

    Where rounding leaves a matrix without a Cholesky factor, its least eigenvalues are lifted.
    """
    if factor.ndim == 2:
        return factor.reciprocal()
    lower, failed = torch.linalg.cholesky_ex(factor)
    if not bool(failed.any()):
        return torch.cholesky_inverse(lower)
    values, vectors = torch.linalg.eigh(factor)
    least = values[:, -1:] * torch.finfo(factor.dtype).eps * factor.shape[1]
    values = torch.maximum(values, least)
    found: Tensor = (vectors / values[:, None, :]) @ vectors.transpose(1, 2)
    return found
