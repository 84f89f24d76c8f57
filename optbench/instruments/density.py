"""The density of a symmetric matrix' eigenvalues, by stochastic Lanczos quadrature."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from optbench.instruments.lanczos import Krylov, Matvec, Told


@dataclass(frozen=True)
class Density:
    """A spectrum as weighted points, one set for each random vector.

    Attributes:
        nodes: [probes, steps], eigenvalues as Lanczos sees them.
        weights: [probes, steps]; each row's sum is 1.
        size: of the matrix.
        products: that it took.
    """

    nodes: Tensor
    weights: Tensor
    size: int
    products: int

    def share(self, low: float, high: float) -> tuple[float, float]:
        """Return which part of the eigenvalues lies between two numbers, and its standard error."""
        inside = (self.nodes >= low) & (self.nodes < high)
        return _mean(torch.where(inside, self.weights, 0.0).sum(-1))

    def moment(self, power: int) -> tuple[float, float]:
        """Return the mean of the eigenvalues' powers, and its standard error."""
        return _mean((self.weights * self.nodes**power).sum(-1))

    def curve(self, points: int = 512, width: float = 0.01) -> tuple[Tensor, Tensor]:
        """Return where, and how dense the eigenvalues are there: its integral is 1.

        Each node becomes a Gaussian (Ghorbani et al. 2019, section 2).

        Args:
            points: of the curve.
            width: standard deviation, as a part of the whole range.
        """
        low, high = float(self.nodes.min()), float(self.nodes.max())
        span = max(high - low, 1e-9 * max(abs(low), abs(high)), 1e-30)
        sigma = width * span
        where = torch.linspace(low - 4 * sigma, high + 4 * sigma, points, dtype=torch.float64)
        bells = torch.exp(-0.5 * ((where[:, None] - self.nodes.reshape(1, -1)) / sigma) ** 2)
        heights = bells @ self.weights.reshape(-1) / len(self.weights)
        return where, heights / (sigma * math.sqrt(2 * math.pi))


def _mean(values: Tensor) -> tuple[float, float]:
    """Return the mean, and its standard error, NaN of one value."""
    error = float(values.std()) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return float(values.mean()), error


def density(
    matvec: Matvec,
    size: int,
    *,
    probes: int = 8,
    steps: int = 60,
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
    device: torch.device | None = None,
    told: Told = lambda done, of: None,
) -> Density:
    """Return the density of a symmetric matrix' eigenvalues.

    Lanczos from random vectors; the eigenvalues of each small matrix are nodes of a Gaussian
    quadrature, the squared first entries of their vectors its weights (Ubaru, Chen & Saad 2017). It
    is exact for moments up to twice the steps, but for the random vectors.

    Args:
        matvec: the product with a vector.
        size: n.
        probes: random vectors.
        steps: products for each.
        seed: of the random vectors.
        dtype, device: of vectors.
        told: is told how many products are done.
    """
    steps = min(steps, size)
    generator = torch.Generator().manual_seed(seed)
    nodes = torch.zeros(probes, steps, dtype=torch.float64)
    weights = torch.zeros(probes, steps, dtype=torch.float64)
    done = 0
    for probe in range(probes):
        krylov = Krylov(matvec, size, steps, generator, dtype, device)
        while krylov.count < steps:
            krylov.expand()
            done += 1
            told(done, probes * steps)
            if krylov.left == 0:
                break
        values, entries, _ = krylov.ritz()
        nodes[probe, : len(values)] = values
        nodes[probe, len(values) :] = values[-1]  # of weight 0
        weights[probe, : len(values)] = entries[0] ** 2
    return Density(nodes, weights, size, done)
