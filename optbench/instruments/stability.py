"""How near the training is to the edge of stability."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from torch import Tensor

from optbench.errors import UserError
from optbench.instruments.base import Measurement, Progress, unwatched
from optbench.instruments.curvature import Matrix, OfCurvature, check_count, check_number
from optbench.instruments.lanczos import eigenvalues
from optbench.instruments.look import Look
from optbench.instruments.stability_line import Line, NoLine, line_of


class Stability(OfCurvature):
    """The sharpness, and the line above which steps of this lr are not stable.

    Full-batch training drives the largest eigenvalue up to the line, where it then stays: the edge
    of stability (Cohen et al. 2021; of Adam, where it is that of P^-1 H, 2022). With small batches
    it stays below.

    Args:
        tolerance, products: as of `Hessian`.
        others: see `OfCurvature`.
    """

    name = "stability"
    what = "sharpness against the stability line: 2 / lr, of Adam P^-1 H against 38 / lr"
    curves: ClassVar = {"the edge of stability": ("stability/sharpness", "stability/line")}

    def __init__(self, *, tolerance: float = 1e-3, products: int = 300, **others: Any) -> None:
        super().__init__(**others)
        check_number("tolerance", tolerance, 0, 1)
        check_count("products", products, 1)
        self.tolerance, self.products = tolerance, products

    def lacking(self, look: Look) -> str | None:
        """Return why there is no stability line, None where there is one."""
        why = super().lacking(look) or look.shared_out
        if why is not None:
            return why
        try:
            line_of(look.player.optimizer, look.parameters)
        except NoLine as error:
            return str(error)
        return None

    def measure(self, look: Look, progress: Progress = unwatched) -> Measurement:
        """Measure."""
        try:
            line = line_of(look.player.optimizer, look.parameters)
        except NoLine as error:
            raise UserError(str(error)) from None
        with self.looking(look) as matrix:
            weighted = _weighted(matrix, line)

            def matvec(vector: Tensor) -> Tensor:
                return weighted * (matrix.matvec(weighted * vector)) + (
                    line.decay * weighted.square() * vector
                )

            found = eigenvalues(
                matvec,
                matrix.size,
                1,
                tolerance=self.tolerance,
                products=self.products,
                basis=min(matrix.room, 40),
                seed=self.seed,
                dtype=matrix.dtype,
                device=matrix.device,
                told=progress,
            )
        rate = max(line.rates)
        sharpness = float(found.largest[0])
        values = {"stability/sharpness": sharpness, "stability/lr": rate}
        notes = [*self.notes(look), f"the line is {line.formula}"]
        if rate > 0:
            values |= {
                "stability/line": line.bound / rate,
                "stability/ratio": sharpness * rate / line.bound,
            }
        else:
            notes.append("lr is 0 here, so there is no line")
        if line.scales is not None:
            notes.append("sharpness is of P^-1 H, P what the gradient is divided by")
        if not found.converged:
            off = float(found.largest_errors[0])
            notes.append(f"not converged after {found.products} products: off by up to {off:.2g}")
        return Measurement(values, notes=[*notes, *_doubts(look, line)])


def _weighted(matrix: Matrix, line: Line) -> Tensor:
    """Return the square root of P^-1, with learning rates relative to the largest, as a vector."""
    most = max(line.rates)
    rates = [math.sqrt(rate / most) if most > 0 else 1.0 for rate in line.rates]
    parts = []
    for number, parameter in enumerate(matrix.flat.parameters):
        part = torch.full_like(parameter, rates[number])
        if line.scales is not None:
            part = part * line.scales[number].to(part).sqrt()
        parts.append(part.detach())
    return matrix.flat.join(parts)


def _doubts(look: Look, line: Line) -> list[str]:
    """Return what keeps sharpness from the line in this run."""
    found = []
    if look.batch_size < look.size("train"):
        found.append(f"the line is of full-batch steps; batches of {look.batch_size} keep it below")
    if len({*line.rates}) > 1:
        found.append("learning rates of groups: relative to the largest")
    return found
