"""Whether the training is at a saddle or at a minimum."""

from __future__ import annotations

from typing import Any

import torch

from optbench.instruments.base import Measurement, Progress, unwatched
from optbench.instruments.curvature import OfCurvature, check_count, finite
from optbench.instruments.density import density
from optbench.instruments.lanczos import eigenvalues
from optbench.instruments.look import Look
from optbench.instruments.spectrum import ZERO, shares


class Saddle(OfCurvature):
    """The gradient, and what part of the Hessian's eigenvalues is negative.

    Args:
        probes, steps: as of `Spectrum`.
        products: for the two ends of the spectrum, at most.
        others: see `OfCurvature`.
    """

    name = "saddle"
    what = "saddle or minimum: the gradient, and the negative curvature's share"

    def __init__(
        self, *, probes: int = 4, steps: int = 40, products: int = 300, **others: Any
    ) -> None:
        super().__init__(**others)
        check_count("probes", probes, 1)
        check_count("steps", steps, 2)
        check_count("products", products, 1)
        self.probes, self.steps, self.products = probes, steps, products

    def measure(self, look: Look, progress: Progress = unwatched) -> Measurement:
        """Measure."""
        of = self.probes * self.steps + self.products
        with self.looking(look) as matrix:
            kind = {"seed": self.seed, "dtype": matrix.dtype, "device": matrix.device}
            ends = eigenvalues(
                matrix.matvec,
                matrix.size,
                1,
                1,
                products=self.products,
                basis=min(matrix.room, 40),
                told=lambda done, _: progress(done, of),
                **kind,  # type: ignore[arg-type]
            )
            begun = ends.products
            found = density(
                matrix.matvec,
                matrix.size,
                probes=self.probes,
                steps=min(self.steps, matrix.room),
                told=lambda done, each: progress(begun + done, begun + each),
                **kind,  # type: ignore[arg-type]
            )
        with look.objective(self.examples, self.split, self.mode, self.chunk) as objective:
            loss, gradients = objective.gradients(look.parameters)
        norm = float(torch.stack([each.double().norm() for each in gradients]).norm())
        smallest, largest = float(ends.smallest[0]), float(ends.largest[0])
        finite(torch.tensor([norm, smallest, largest]), "the Hessian")
        values, doubts = shares(found)
        values = {
            "negative_share": values["negative_share"],
            "negative_mass": values["negative_mass"],
            "smallest": smallest,
            "largest": largest,
            "gradient_norm": norm,
        }
        off = float(ends.smallest_errors[0])
        scale = max(abs(smallest), abs(largest))
        said = _verdict(smallest, off, scale, values["negative_share"], matrix.size)
        where = f"gradient norm {norm:.3g} at loss {float(loss):.4g}"
        return Measurement(
            {f"{self.name}/{key}": value for key, value in values.items()},
            tables={"verdict": said},
            notes=[f"{said}; {where}", *self.notes(look), *doubts],
        )


def _verdict(smallest: float, off: float, scale: float, share: float, size: int) -> str:
    """Return in words what the curvature says."""
    if smallest + off < -ZERO * scale:
        part = f"{100 * share:.2g} %" if share * size >= 1 else "few"
        return f"negative curvature, down to {smallest:.3g}, along {part} of the directions: saddle"
    if smallest - off > ZERO * scale:
        return "no negative curvature: as at a minimum"
    return (
        "no negative curvature beyond what is near 0: as at a minimum, flat along some directions"
    )
