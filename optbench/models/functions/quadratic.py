"""Quadratics with a spectrum of one's own choice."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from optbench.models.arguments import unknown_name
from optbench.models.functions.base import Function, Start, check_dim, starting_point

SPECTRA = ("log", "linear")


class Quadratic(Function):
    """f(x) = 1/2 sum_i lambda_i y_i^2, where y_i is x along the i-th eigenvector; minimum 0 at 0.

    The eigenvalues lie evenly from 1 / condition to 1, or their logarithms do. The eigenvectors are
    the axes, which costs nothing in 10^4 dimensions, or a random rotation of them.

    Args:
        dim: at least 1.
        spectrum: `log` (evenly spaced logarithms) or `linear`.
        condition: greatest over least eigenvalue, at least 1.
        eigenvalues: dim positive numbers of one's own, instead of spectrum and condition.
        rotation: seed of a rotation drawn uniformly (QR of a normal matrix, with the signs of
            Mezzadri 2007, section 5); None leaves the axes.
        start: None for distance 1 from the minimum along every eigenvector.
        dtype: see `Function`.

    Raises:
        ValueError: an argument out of range.
    """

    eigenvalues: Tensor
    eigenvectors: Tensor | None

    def __init__(
        self,
        *,
        dim: int = 100,
        spectrum: str = "log",
        condition: float = 100.0,
        eigenvalues: Sequence[float] | None = None,
        rotation: int | None = None,
        start: Start = None,
        dtype: str = "float64",
    ) -> None:
        check_dim("a quadratic", dim, 1)
        if eigenvalues is None:
            values = spectrum_of(dim, spectrum, condition)
        else:
            values = own_spectrum(dim, eigenvalues)
        vectors = None if rotation is None else random_rotation(dim, rotation)
        usual = torch.ones(dim, dtype=torch.float64)
        usual = usual if vectors is None else vectors @ usual
        super().__init__(starting_point(start, usual), torch.zeros(1, dim), dtype=dtype)
        self.keep("eigenvalues", values)
        self.keep("eigenvectors", vectors)

    def value(self, x: Tensor) -> Tensor:
        along = x if self.eigenvectors is None else x @ self.eigenvectors
        return 0.5 * (self.eigenvalues * along.square()).sum(-1)


def spectrum_of(dim: int, spectrum: str, condition: float) -> Tensor:
    """Return dim eigenvalues from 1 / condition to 1, ascending, float64; one alone is 1.

    Raises:
        ValueError: an unknown spectrum, or a condition below 1.
    """
    if spectrum not in SPECTRA:
        raise unknown_name("spectrum", spectrum, SPECTRA)
    if not 1 <= condition < float("inf"):
        raise ValueError(f"condition={condition}: greatest over least eigenvalue, at least 1")
    least = 1.0 / condition
    if spectrum == "linear":
        falling = torch.linspace(1.0, least, dim, dtype=torch.float64)
    else:
        falling = torch.logspace(0.0, -1.0, dim, base=condition, dtype=torch.float64)
    return falling.flip(0)


def own_spectrum(dim: int, eigenvalues: Sequence[float]) -> Tensor:
    """Return the given eigenvalues, float64 [dim].

    Raises:
        ValueError: not dim of them, or one that is not positive.
    """
    values = torch.tensor([float(value) for value in eigenvalues], dtype=torch.float64)
    if len(values) != dim:
        raise ValueError(f"eigenvalues: {len(values)} of them, but dim={dim}")
    if not bool(((values > 0) & values.isfinite()).all()):
        raise ValueError(f"eigenvalues={list(eigenvalues)}: all have to be positive numbers")
    return values


def random_rotation(dim: int, seed: int) -> Tensor:
    """Draw an orthogonal matrix float64 [dim, dim] uniformly; a pure function of its arguments."""
    generator = torch.Generator().manual_seed(seed)
    normal = torch.randn(dim, dim, generator=generator, dtype=torch.float64)
    q, r = torch.linalg.qr(normal)
    orthogonal: Tensor = q * r.diagonal().sign()
    return orthogonal
