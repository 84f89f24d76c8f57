"""The trace of a symmetric matrix that is known by its products, with a confidence interval."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from optbench.instruments.lanczos import Matvec, Told

CONFIDENCE = 0.95
Kind = tuple[torch.dtype, torch.device | None]
METHODS = ("hutch++", "hutchinson", "xtrace")


@dataclass(frozen=True)
class Trace:
    """An estimate of a trace.

    Attributes:
        value: the mean of the estimates.
        low, high: the interval by Student's t.
        estimates: of each random vector.
        products: that it took.
    """

    value: float
    low: float
    high: float
    estimates: Tensor
    products: int

    @property
    def error(self) -> float:
        """The standard error."""
        return float(self.estimates.std()) / math.sqrt(len(self.estimates))


def trace(
    matvec: Matvec,
    size: int,
    method: str = "hutch++",
    *,
    products: int = 64,
    confidence: float = CONFIDENCE,
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
    device: torch.device | None = None,
    told: Told = lambda done, of: None,
) -> Trace:
    """Estimate the trace of a symmetric matrix.

    Args:
        matvec: the product with a vector.
        size: n.
        method: `hutchinson`: the mean of v^T A v over random signs v (Hutchinson 1990). Where a few
            eigenvalues are much larger than the others, as those of a Hessian, its estimates are
            skewed, and the interval holds the trace less often than it says. `hutch++`: the trace
            within a random range of A, which has those, exactly, and Hutchinson of the rest (Meyer,
            Musco, Musco & Woodruff 2021): half of the products for each. `xtrace`: the same with
            each vector in turn left out of the range (Epperly, Tropp & Webber 2024, section 2.1):
            its estimates depend on each other, so its interval too is somewhat short. The latter
            two have memory for half as many vectors as products.
        products: at least 4.
        confidence: that the interval holds the trace.
        seed: of the random vectors.
        dtype, device: of vectors.
        told: is told how many products are done.
    """
    generator = torch.Generator().manual_seed(seed)
    kind = (dtype, device)
    if products >= size:
        estimates, used = _exact(matvec, size, kind, told), size
    elif method == "xtrace":
        used = 2 * (products // 2)
        estimates = _xtrace(matvec, size, products // 2, generator, kind, told)
    else:
        deflated = products // 4 if method == "hutch++" else 0
        used = products
        estimates = _hutchinson(matvec, size, (deflated, products), generator, kind, told)
    value = float(estimates.mean())
    spread = float(estimates.std()) / math.sqrt(len(estimates))
    from scipy.special import stdtrit  # Student's t; it takes a moment to load

    half = float(stdtrit(len(estimates) - 1, 0.5 + confidence / 2)) * spread
    return Trace(value, value - half, value + half, estimates, used)


def _exact(matvec: Matvec, size: int, kind: Kind, told: Told) -> Tensor:
    """Return the trace twice, by all unit vectors: so few that it costs no more."""
    total = 0.0
    for at in range(size):
        unit = torch.zeros(size, dtype=kind[0], device=kind[1])
        unit[at] = 1
        total += float(matvec(unit)[at])
        told(at + 1, size)
    return torch.full((2,), total, dtype=torch.float64)


def _hutchinson(
    matvec: Matvec,
    size: int,
    counts: tuple[int, int],
    generator: torch.Generator,
    kind: Kind,
    told: Told,
) -> Tensor:
    """Return an estimate for each of the random vectors that are left for it.

    Args:
        counts: vectors of the range that is taken out first, and products in all.
    """
    deflated, products = counts
    found = torch.zeros(products - 2 * deflated, dtype=torch.float64)
    kept = torch.zeros(size, deflated, dtype=kind[0], device=kind[1])
    for i in range(deflated):
        kept[:, i] = matvec(torch.randn(size, generator=generator).to(kept))
        told(i + 1, products)
    kept = torch.linalg.qr(kept)[0]
    for i in range(deflated):
        vector = kept[:, i].contiguous()
        found += float((vector.double() * matvec(vector).double()).sum())
        told(deflated + i + 1, products)
    for i in range(len(found)):
        signs = torch.randint(0, 2, (size,), generator=generator) * 2 - 1
        vector = signs.to(kept)
        vector = vector - kept @ (vector @ kept)
        found[i] += float((vector.double() * matvec(vector).double()).sum())
        told(2 * deflated + i + 1, products)
    return found


def _xtrace(
    matvec: Matvec, size: int, count: int, generator: torch.Generator, kind: Kind, told: Told
) -> Tensor:
    """Return an estimate for each of `count` random vectors, at twice as many products.

    With Y = A Omega = Q R, the columns of Q but what omega_i alone has brought span the others'
    range: the projection on it is Q (I - s_i s_i^T) Q^T, s_i the i-th column of R^-T made a unit
    vector. Each estimate is the trace in there, and what omega_i says of the rest.
    """
    drawn = torch.randn(size, count, generator=generator, dtype=torch.float64)
    probes = (drawn * (math.sqrt(size) / drawn.norm(dim=0))).to(dtype=kind[0], device=kind[1])
    products = torch.empty_like(probes)
    for i in range(count):
        products[:, i] = matvec(probes[:, i].contiguous())
        told(i + 1, 2 * count)
    rounding = torch.finfo(products.dtype).eps
    orthogonal, upper = torch.linalg.qr(products)
    images = torch.empty_like(orthogonal)
    for i in range(count):
        images[:, i] = matvec(orthogonal[:, i].contiguous())
        told(count + i + 1, 2 * count)
    small = (orthogonal.T @ images).double().cpu()
    small = (small + small.T) / 2
    along = (orthogonal.T @ probes).double().cpu()  # [count, count], a column for each vector
    whole = (probes.double() * products.double()).sum(0).cpu()
    upper = upper.double().cpu()
    if float(upper.diagonal().abs().min()) <= 10 * rounding * float(upper.abs().max()):
        # Its rank is lower than the vectors, which so have all of it.
        return torch.full((count,), float(small.trace()), dtype=torch.float64)
    left_out = torch.linalg.inv(upper).T
    left_out = left_out / left_out.norm(dim=0)
    inside = along - left_out * (left_out * along).sum(0)
    trace_inside = small.trace() - (left_out * (small @ left_out)).sum(0)
    rest = whole - 2 * (inside * upper).sum(0) + (inside * (small @ inside)).sum(0)
    norms = (size - inside.square().sum(0)).clamp_min(1e-300)
    found: Tensor = trace_inside + (size - count + 1) * rest / norms
    return found
