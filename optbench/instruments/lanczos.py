"""Lanczos' method on a symmetric matrix that is known by its products with vectors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Matvec = Callable[[Tensor], Tensor]
"""The product with a vector [n]."""

Told = Callable[[int, int], None]
"""How many products are done, of at most how many."""

ROUNDING = 10
"""So many units of rounding of the largest product are no new direction."""


@dataclass(frozen=True)
class Eigenvalues:
    """Eigenvalues of a symmetric matrix, and how far they may be off.

    Attributes:
        largest: descending.
        smallest: ascending.
        largest_errors, smallest_errors: norms of A v - theta v; an eigenvalue lies within each.
        largest_vectors, smallest_vectors: unit vectors [k, n].
        converged: whether all errors are within the tolerance.
        products: with vectors, that it took.
    """

    largest: Tensor
    smallest: Tensor
    largest_errors: Tensor
    smallest_errors: Tensor
    largest_vectors: Tensor
    smallest_vectors: Tensor
    converged: bool
    products: int


class Krylov:
    """An orthonormal basis that grows by products, and the matrix in it.

    Each new vector is made orthogonal to all others, twice, so that no eigenvalue comes again as
    a copy (Parlett 1998, section 6.9). Where a product leads nowhere new, a random direction does.

    Args:
        matvec: the product.
        size: n.
        most: vectors of the basis, at most.
        generator: draws the start, and new directions.
        dtype, device: of vectors.
    """

    def __init__(
        self,
        matvec: Matvec,
        size: int,
        most: int,
        generator: torch.Generator,
        dtype: torch.dtype = torch.float64,
        device: torch.device | None = None,
    ) -> None:
        self.most = min(most, size)
        self._matvec, self._generator = matvec, generator
        self.basis = torch.zeros(self.most + 1, size, dtype=dtype, device=device)
        self.inside = torch.zeros(self.most, self.most, dtype=torch.float64)
        self.count = 0
        self.left = 0.0
        """Norm of what the last product has outside of the basis."""
        self._scale = 0.0
        self.start(self._direction())

    def start(self, vector: Tensor) -> None:
        """Begin anew with a vector."""
        self.count = 0
        self.basis[0] = vector / vector.norm()

    def expand(self) -> None:
        """Take the product with the newest vector, and make what is new in it the next one."""
        at = self.count
        product = self._matvec(self.basis[at]).to(self.basis.dtype)
        known = self.basis[: at + 1]
        along = torch.zeros(at + 1, dtype=torch.float64)
        for _ in range(2):
            part = known @ product
            product = product - part @ known
            along += part.double().cpu()
        self.inside[: at + 1, at] = along
        self.inside[at, : at + 1] = along
        self.count = at + 1
        self.left = float(product.norm())
        self._scale = max(self._scale, float(along.abs().max()), self.left)
        if self.left > ROUNDING * torch.finfo(self.basis.dtype).eps * self._scale:
            self.basis[at + 1] = product / self.left
        else:
            self.left = 0.0
            if self.count < self.basis.shape[1]:
                self.basis[at + 1] = self._direction()

    def ritz(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return the eigenvalues [m] of the matrix in the basis, ascending, their vectors' entries
        [m, m] in columns, and their errors [m]."""
        values, entries = torch.linalg.eigh(self.inside[: self.count, : self.count])
        return values, entries, (self.left * entries[-1]).abs()

    def lifted(self, entries: Tensor) -> Tensor:
        """Return vectors [k, n] whose entries in the basis are the columns [m, k]."""
        return entries.T.to(self.basis) @ self.basis[: self.count]

    def restart(self, values: Tensor, entries: Tensor) -> None:
        """Keep some eigenvectors, and go on from where the last product led (Wu & Simon 2000)."""
        newest = self.basis[self.count].clone()
        kept = self.lifted(entries)
        self.count = len(values)
        self.basis[: self.count] = kept
        self.basis[self.count] = newest
        self.inside.zero_()
        self.inside.diagonal()[: self.count] = values

    def _direction(self) -> Tensor:
        """Return a random unit vector, orthogonal to the basis."""
        size = self.basis.shape[1]
        drawn = torch.randn(size, generator=self._generator, dtype=torch.float64)
        vector = drawn.to(self.basis)
        known = self.basis[: self.count]
        for _ in range(2):
            vector = vector - (known @ vector) @ known
        found: Tensor = vector / vector.norm()
        return found


def eigenvalues(
    matvec: Matvec,
    size: int,
    largest: int = 1,
    smallest: int = 0,
    *,
    tolerance: float = 1e-3,
    products: int = 300,
    basis: int = 0,
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
    device: torch.device | None = None,
    told: Told = lambda done, of: None,
) -> Eigenvalues:
    """Return the largest and the smallest eigenvalues of a symmetric matrix.

    Lanczos with full reorthogonalisation and thick restarts (Wu & Simon 2000). An eigenvalue is
    found once the norm of A v - theta v is below the tolerance times the largest absolute value of
    any found. Its own error is then smaller by far, about that norm squared over the distance to
    the next eigenvalue.

    Equal eigenvalues are found once, as by all methods of one vector.

    Args:
        matvec: the product with a vector.
        size: n.
        largest, smallest: how many at each end.
        tolerance: see above.
        products: at most.
        basis: vectors that are kept at once, which is the memory; 0 for as many as is usual.
        seed: of the start.
        dtype, device: of vectors.
        told: is told how many products are done.
    """
    largest, smallest = min(largest, size), min(smallest, size)
    wanted = max(1, min(largest + smallest, size))
    room = min(size, max(basis or max(40, 2 * wanted + 20), wanted + 3))
    generator = torch.Generator().manual_seed(seed)
    krylov = Krylov(matvec, size, room, generator, dtype, device)
    for done in range(1, max(products, wanted) + 1):
        krylov.expand()
        told(done, products)
        full = krylov.count == krylov.most
        if krylov.count < wanted or not (full or done % 5 == 0 or krylov.left == 0):
            continue
        values, entries, errors = krylov.ritz()
        ends = _ends(len(values), largest, smallest)
        bound = tolerance * float(values.abs().max())
        if krylov.count == size or bool((errors[ends] <= bound).all()):
            return _found(krylov, largest, smallest, True, done)
        if full and done < products:
            kept = _kept(len(values), largest, smallest, room)
            krylov.restart(values[kept], entries[:, kept])
    return _found(krylov, largest, smallest, False, done)


def _ends(count: int, largest: int, smallest: int) -> Tensor:
    """Return the places of those at both ends among `count` ascending ones."""
    return torch.tensor(sorted({*range(smallest), *range(count - largest, count)}))


def _kept(count: int, largest: int, smallest: int, room: int) -> Tensor:
    """Return the places of those that a restart keeps: those wanted, and some beside them."""
    spare = (room - largest - smallest) // 2
    above = spare // 2 if largest and smallest else spare if largest else 0
    below = spare // 2 if largest and smallest else spare if smallest else 0
    most = min(count, room - 2)
    low = min(smallest + below, most)
    return _ends(count, min(largest + above, most - low), low)


def _found(
    krylov: Krylov, largest: int, smallest: int, converged: bool, products: int
) -> Eigenvalues:
    values, entries, errors = krylov.ritz()
    top = torch.arange(len(values) - 1, len(values) - 1 - min(largest, len(values)), -1)
    low = torch.arange(min(smallest, len(values)))
    return Eigenvalues(
        largest=values[top],
        smallest=values[low],
        largest_errors=errors[top],
        smallest_errors=errors[low],
        largest_vectors=krylov.lifted(entries[:, top]),
        smallest_vectors=krylov.lifted(entries[:, low]),
        converged=converged,
        products=products,
    )
