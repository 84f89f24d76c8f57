"""The density of the Hessian's eigenvalues."""

from __future__ import annotations

from typing import Any

from optbench.instruments.base import Measurement, Progress, unwatched
from optbench.instruments.curvature import MATRICES, OfCurvature, check_count, check_word
from optbench.instruments.density import Density, density
from optbench.instruments.look import Look

ZERO = 1e-3
"""Part of the largest eigenvalue below which one counts as 0: about what Lanczos resolves."""


class Spectrum(OfCurvature):
    """How the eigenvalues of the Hessian are distributed, by stochastic Lanczos quadrature.

    Args:
        matrix: `hessian` or `ggn`.
        probes: random vectors.
        steps: products for each.
        others: see `OfCurvature`.
    """

    name = "spectrum"
    what = "density of the Hessian's eigenvalues (matrix=ggn: of the GGN's)"

    def __init__(
        self, *, matrix: str = "hessian", probes: int = 4, steps: int = 40, **others: Any
    ) -> None:
        super().__init__(**others)
        check_word("matrix", matrix, MATRICES)
        check_count("probes", probes, 1)
        check_count("steps", steps, 2)
        self.matrix, self.probes, self.steps = matrix, probes, steps

    def measure(self, look: Look, progress: Progress = unwatched) -> Measurement:
        """Measure."""
        with self.looking(look) as matrix:
            found = density(
                matrix.matvec,
                matrix.size,
                probes=self.probes,
                steps=min(self.steps, matrix.room),
                seed=self.seed,
                dtype=matrix.dtype,
                device=matrix.device,
                told=progress,
            )
        values, doubts = shares(found)
        where, heights = found.curve()
        return Measurement(
            {f"{self.name}/{key}": value for key, value in values.items()},
            tables={
                "eigenvalue": where.tolist(),
                "density": heights.tolist(),
                "nodes": found.nodes.tolist(),
                "weights": found.weights.tolist(),
            },
            notes=[*self.notes(look), *doubts],
            pictures={"density": lambda axes: _draw(axes, found, self.matrix)},
        )


def shares(found: Density) -> tuple[dict[str, float], list[str]]:
    """Return what part of the eigenvalues is negative, near 0 and positive, and how sure that is.

    Args:
        found: the density.

    Returns:
        The values, and lines to bear in mind.
    """
    scale = float(found.nodes.abs().max())
    negative, error = found.share(-float("inf"), -ZERO * scale)
    positive, _ = found.share(ZERO * scale, float("inf"))
    mean, _ = found.moment(1)
    below = (found.weights * found.nodes.clamp(max=0)).sum().abs()
    whole = (found.weights * found.nodes.abs()).sum()
    values = {
        "negative_share": negative,
        "near_zero_share": max(0.0, 1 - negative - positive),
        "negative_mass": float(below / whole) if float(whole) else 0.0,
        "mean": mean,
    }
    sure = f", +- {error:.2g}" if len(found.nodes) > 1 else ""
    count = f"{len(found.nodes)} random vector{'s' * (len(found.nodes) > 1)}"
    note = f"near 0: within {ZERO:g} of the largest, {scale:.3g}; by {count}{sure}"
    return values, [note]


def _draw(axes: Any, found: Density, matrix: str) -> None:
    where, heights = found.curve()
    floor = float(heights.max()) * 1e-6
    axes.semilogy(where.tolist(), heights.clamp_min(floor).tolist(), linewidth=1.2)
    axes.set_xlabel(f"eigenvalue of the {'Hessian' if matrix == 'hessian' else 'GGN'}")
    axes.set_ylabel("density")
