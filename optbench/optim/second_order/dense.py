"""Matrices of all parameters by all parameters: from products, and what of memory they take."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from optbench.optim.second_order.flat import Flat

Products = Callable[..., Sequence[Tensor]]
AT_ONCE = 64
"""Products that are computed together."""
GIB = 2**30


def matrix(products: Products, flat: Flat) -> Tensor:
    """Return the symmetric matrix [n, n] whose products with vectors are given.

    Args:
        products: of the parameters with stacked vectors, as an objective's `hvp`.
        flat: the parameters.
    """
    like, size = flat.point(), flat.size
    whole = torch.empty(size, size, dtype=like.dtype, device=like.device)
    for first in range(0, size, AT_ONCE):
        rows = whole[first : first + AT_ONCE]
        units = torch.zeros_like(rows)
        units.diagonal(first).fill_(1.0)
        rows.copy_(flat.join(products(flat.parameters, flat.split(units), stacked=True)))
    _make_symmetric(whole)
    return whole


def _make_symmetric(matrix: Tensor) -> None:
    """Replace a matrix by the mean of it and its transpose, some rows and columns at a time.

    They stay in a cache: of thousands of rows in float64 it takes a fifth of the time.
    """
    for first in range(0, len(matrix), AT_ONCE):
        right = matrix[first : first + AT_ONCE, first:]
        below = matrix[first:, first : first + AT_ONCE]
        mean = right.add(below.T).mul_(0.5)
        right.copy_(mean)
        below.copy_(mean.T)


def solved(matrix: Tensor, b: Tensor, damping: float) -> tuple[Tensor, bool]:
    """Return (A + damping I)^-1 b; where that is not positive definite, with |A| in place of A.

    Also whether |A| is another matrix than A, up to rounding.

    |A| has the absolute values of A's eigenvalues, so that directions of negative curvature are
    gone down (Dauphin et al. 2014, section 4). Directions of none, up to rounding of A as given,
    are left out: without damping above that they have no answer. In float64.
    """
    wide, right = matrix.double(), b.double()
    eps = torch.finfo(matrix.dtype).eps
    if damping > eps * float(wide.diagonal().abs().max()):
        eps = torch.finfo(wide.dtype).eps
    damped = wide.clone()
    damped.diagonal().add_(damping)
    factor, failed = torch.linalg.cholesky_ex(damped)
    if not int(failed) and _well_posed(damped, factor, eps):
        solution: Tensor = torch.cholesky_solve(right[:, None], factor)[:, 0]
        return solution.to(b.dtype), False
    try:
        values, vectors = torch.linalg.eigh(wide)
    except RuntimeError:  # torch's LinAlgError: what is not finite, and now and then what is
        return torch.full_like(b, torch.nan), False
    sizes = values.abs() + damping
    least = sizes.max() * len(b) * eps
    inverse = torch.where(sizes > least, 1 / sizes.clamp(min=least), 0.0)
    found: Tensor = vectors @ (inverse * (vectors.T @ right))
    return found.to(b.dtype), bool(values.min() < -least)


def _well_posed(matrix: Tensor, factor: Tensor, eps: float) -> bool:
    """Return whether a matrix is not all but singular: its least eigenvalue is at least one over
    the trace of the inverse, its greatest at most its norm."""
    least = 1 / torch.cholesky_inverse(factor).trace()
    return bool(least > len(matrix) * eps * matrix.norm())


def check_memory(name: str, flat: Flat, most: float, instead: str) -> None:
    """Refuse a matrix of all parameters by all parameters that takes too much memory.

    Args:
        name: of the optimizer.
        flat: its parameters.
        most: GiB.
        instead: what to take for so many.

    Raises:
        ValueError: it would.
    """
    bytes_each = 4 if flat.point().dtype == torch.float32 else 8
    gib = flat.size**2 * bytes_each / GIB
    if gib > most:
        raise ValueError(
            f"{name} keeps a matrix of {flat.size:,} x {flat.size:,} numbers, {gib:,.1f} GiB, "
            f"more than max_gib {most:g}; for so many parameters take {instead}"
        )
