"""The constants of CMA-ES, which follow from the dimension and the population."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Strategy:
    """What one generation of CMA-ES goes by (Hansen 2016, arXiv:1604.00772, table 1).

    Where `cma` 4 has another default than the tutorial, it is `cma`'s: c_sigma's divisor, and 1/4
    more in c_mu.

    Attributes:
        weights: of all members, best first; those of the worse half are negative.
        parents: how many have a positive weight.
        mu_eff: the effective number of parents.
        c_sigma, d_sigma: of the step size.
        c_c, c_1, c_mu: of the covariance's path, rank-one and rank-mu update.
        expected: length of a standard normal vector.
    """

    weights: Tensor
    parents: int
    mu_eff: float
    c_sigma: float
    d_sigma: float
    c_c: float
    c_1: float
    c_mu: float
    expected: float


def default_population(size: int) -> int:
    """Return 4 + 3 ln n."""
    return 4 + int(3 * math.log(size))


def strategy(size: int, population: int, separable: bool, device: torch.device) -> Strategy:
    """Return the constants for `size` dimensions.

    A covariance that is a diagonal learns (n + 2) / 3 times as fast (Ros & Hansen 2008, section 3).
    """
    n, parents = size, population // 2
    places = torch.arange(1, population + 1, dtype=torch.float64, device=device)
    raw = math.log((population + 1) / 2) - places.log()
    mu_eff = _effective(raw[:parents])
    minus = _effective(raw[parents:])
    c_1 = 2 / ((n + 1.3) ** 2 + mu_eff)
    c_mu = 2 * (0.25 + mu_eff - 2 + 1 / mu_eff) / ((n + 2) ** 2 + mu_eff)
    if separable:
        c_1, c_mu = c_1 * (n + 2) / 3, c_mu * (n + 2) / 3
    c_1 = min(c_1, 0.5)
    c_mu = min(1 - c_1, c_mu)
    c_sigma = (mu_eff + 2) / (n + mu_eff + 3)
    d_sigma = 1 + 2 * max(0.0, math.sqrt((mu_eff - 1) / (n + 1)) - 1) + c_sigma
    c_c = (4 + mu_eff / n) / (n + 4 + 2 * mu_eff / n)
    least = [1 + c_1 / c_mu, 1 + 2 * minus / (mu_eff + 2), (1 - c_1 - c_mu) / (n * c_mu)]
    positive, negative = raw.clamp(min=0), raw.clamp(max=0)
    weights = positive / positive.sum()
    if bool((negative < 0).any()):
        weights = weights - max(0.0, min(least)) * negative / negative.sum()
    expected = math.sqrt(n) * (1 - 1 / (4 * n) + 1 / (21 * n * n))
    return Strategy(weights, parents, mu_eff, c_sigma, d_sigma, c_c, c_1, c_mu, expected)


def _effective(weights: Tensor) -> float:
    return float(weights.sum() ** 2 / weights.square().sum())
