"""The largest and the smallest eigenvalues of the Hessian and of the Gauss-Newton matrix."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optbench.instruments.base import Draw, Measurement, Progress, unwatched
from optbench.instruments.curvature import OfCurvature, check_count, check_number
from optbench.instruments.lanczos import Eigenvalues, eigenvalues
from optbench.instruments.look import Look

MOST = 100
"""Eigenvalues of either end. Lanczos makes each new vector orthogonal to all before, so time goes
with the square; `spectrum` has the density of all of them."""


class Hessian(OfCurvature):
    """The largest and the smallest eigenvalues of the loss' Hessian, by Lanczos.

    Args:
        top: how many of the largest, up to `MOST`.
        bottom: how many of the smallest, which are the most negative; as many at most.
        tolerance: of the norm of H v - theta v, relative to the largest found; see
            `lanczos.eigenvalues`.
        products: with vectors, at most.
        others: see `OfCurvature`.

    Example:
        >>> found = Hessian(top=3, examples=500).measure(Look(trainer))
        >>> found.values["hessian/largest"]
    """

    name = "hessian"
    what = "eigenvalues of the Hessian: the largest and the smallest"

    def __init__(
        self,
        *,
        top: int = 5,
        bottom: int = 1,
        tolerance: float = 1e-3,
        products: int = 300,
        **others: Any,
    ) -> None:
        super().__init__(**others)
        check_count("top", top, 0, MOST)
        check_count("bottom", bottom, 0, MOST)
        check_count("products", products, 1)
        check_number("tolerance", tolerance, 0, 1)
        if top + bottom == 0:
            raise ValueError("top=0: and bottom=0 leave nothing to measure")
        self.top, self.bottom = top, bottom
        self.tolerance, self.products = tolerance, products

    def measure(self, look: Look, progress: Progress = unwatched) -> Measurement:
        """Measure."""
        with self.looking(look) as matrix:
            found = eigenvalues(
                matrix.matvec,
                matrix.size,
                self.top,
                self.bottom,
                tolerance=self.tolerance,
                products=self.products,
                basis=min(matrix.room, max(40, 2 * (self.top + self.bottom) + 20)),
                seed=self.seed,
                dtype=matrix.dtype,
                device=matrix.device,
                told=progress,
            )
        values = self._values(found)
        return Measurement(
            values,
            tables={"largest": _rows(found, "largest"), "smallest": _rows(found, "smallest")},
            notes=[*self.notes(look), *self._doubts(found)],
            pictures={"eigenvalues": _picture(found, self.name)},
        )

    def _values(self, found: Eigenvalues) -> Mapping[str, float]:
        values = {}
        for end in ("largest", "smallest"):
            for number, value in enumerate(getattr(found, end).tolist(), start=1):
                values[f"{self.name}/{end}" + (f"_{number}" if number > 1 else "")] = value
        return values

    def _doubts(self, found: Eigenvalues) -> list[str]:
        if found.converged:
            return []
        worst = max([*found.largest_errors.tolist(), *found.smallest_errors.tolist()])
        return [
            f"not converged after {found.products} products: off by up to {worst:.2g}; "
            f"{self.name}.products={2 * found.products}"
        ]


class GaussNewton(Hessian):
    """The same of the generalized Gauss-Newton matrix, which has no negative ones.

    Args:
        others: as `Hessian`; `bottom` is 0 here.
    """

    name = "ggn"
    what = "eigenvalues of the generalized Gauss-Newton matrix: the largest"
    matrix = "ggn"

    def __init__(self, *, bottom: int = 0, **others: Any) -> None:
        super().__init__(bottom=bottom, **others)


def _rows(found: Eigenvalues, end: str) -> list[dict[str, float]]:
    """Return the eigenvalues of one end with their errors, as plain data."""
    pairs = zip(getattr(found, end).tolist(), getattr(found, f"{end}_errors").tolist(), strict=True)
    return [{"value": value, "off_by_at_most": error} for value, error in pairs]


def _picture(found: Eigenvalues, name: str) -> Draw:
    values = [*found.largest.tolist(), *reversed(found.smallest.tolist())]

    def draw(axes: Any) -> None:
        axes.stem(range(1, len(values) + 1), values)
        axes.axhline(0, color="black", linewidth=0.6)
        axes.set_xlabel("largest to smallest found")
        axes.set_ylabel(f"eigenvalue of the {'Hessian' if name == 'hessian' else 'GGN'}")

    return draw
