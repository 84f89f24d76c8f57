"""One step's curvature matrix, and directions solved with it: exactly or by conjugate gradients."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from optbench.optim.engine.ranges import above_zero, at_least_zero, in_unit_interval
from optbench.optim.second_order.cg import STOPS, Apply, conjugate_gradients
from optbench.optim.second_order.dense import Products, matrix, solved
from optbench.optim.second_order.flat import Flat, one_of

FEW = 2000
"""Parameters for which the matrix itself is made where nobody says how to solve, at most."""
MOST = 5000
"""The same where that is asked for: with its factor and inverse about a gigabyte then, and, where
it has negative curvature, minutes a step."""
SOLVERS = ("auto", "exact", "cg")


@dataclass(frozen=True)
class Direction:
    """Where to go.

    Attributes:
        step: [n].
        curved: step^T A step, A without damping.
        iterations: of conjugate gradients; 0 of an exact solution.
        negative: whether curvature that is not positive was met; of an exact solution, whether |A|
            was taken for A, which has negative curvature.
    """

    step: Tensor
    curved: float
    iterations: int = 0
    negative: bool = False

    def predicted(self, slope: float, size: float) -> float:
        """Return by how much the quadratic model changes along the step, `size` of it."""
        return size * slope + 0.5 * size**2 * self.curved


class Curvature:
    """A matrix of all parameters, in one step.

    Args:
        products: with it, as an objective's `hvp`.
        flat: the parameters.
        settings: as `check_solver` wants them.

    Attributes:
        timed: of an exact solution on a CPU, seconds of making the matrix (`curvature`) and of
            solving with it (`solve`).
    """

    def __init__(self, products: Products, flat: Flat, settings: Mapping[str, Any]) -> None:
        self._products, self._flat, self._settings = products, flat, settings
        self.exact = solves_exactly(settings, flat)
        self.timed: dict[str, float] = {}

    @cached_property
    def _matrix(self) -> Tensor:
        with self._clocked("curvature"):
            return matrix(self._products, self._flat)

    @contextmanager
    def _clocked(self, what: str) -> Iterator[None]:
        begun = perf_counter()
        yield
        if self._flat.parameters[0].device.type == "cpu":  # a GPU has only been told by then
            self.timed[what] = self.timed.get(what, 0.0) + perf_counter() - begun

    def apply(self, vector: Tensor) -> Tensor:
        """Return A v."""
        if self.exact:
            return self._matrix @ vector
        parts = self._products(self._flat.parameters, self._flat.split(vector))
        return self._flat.join(parts).to(vector.dtype)

    def direction(
        self,
        gradient: Tensor,
        damping: float,
        start: Tensor | None = None,
        precondition: Apply | None = None,
    ) -> Direction:
        """Return -(A + damping I)^-1 g, or what was found of it.

        Args:
            gradient: [n].
            damping: at least 0.
            start, precondition: for conjugate gradients.
        """
        if self.exact:
            whole = self._matrix
            with self._clocked("solve"):
                step, negative = solved(whole, -gradient, damping)
            curved = float(step @ (whole @ step))
            return Direction(step, curved, negative=negative)
        found = conjugate_gradients(
            lambda vector: self.apply(vector) + damping * vector,
            -gradient,
            most=int(self._settings["cg_iterations"]),
            tolerance=self._settings["cg_tolerance"],
            stop=self._settings["cg_stop"],
            start=start,
            precondition=precondition,
        )
        curved = float(found.x @ found.product) - damping * float(found.x @ found.x)
        return Direction(found.x, curved, found.iterations, not found.curvature > 0)


def solves_exactly(settings: Mapping[str, Any], flat: Flat) -> bool:
    """Return whether the matrix itself is made, and solved with."""
    return settings["solver"] == "exact" or (settings["solver"] == "auto" and flat.size <= FEW)


def check_solver(name: str, settings: Mapping[str, Any], flat: Flat) -> None:
    """Check the settings that all who solve with a matrix have.

    Args:
        name: of the optimizer.
        settings: `solver`, `cg_iterations`, `cg_tolerance`, `cg_stop`, `cg_decay`, `damping`.
        flat: its parameters.

    Raises:
        ValueError: one out of range, or an exact solution of too many parameters.
    """
    one_of(settings, "solver", *SOLVERS)
    one_of(settings, "cg_stop", *STOPS)
    above_zero(settings, "cg_iterations")
    at_least_zero(settings, "cg_tolerance", "damping", "lr")
    in_unit_interval(settings, "cg_decay")
    if settings["solver"] == "exact" and flat.size > MOST:
        raise ValueError(
            f"solver exact: {name} would take {flat.size:,} products a step for a matrix of "
            f"{flat.size:,} x {flat.size:,}; for more than {MOST:,} parameters there is cg"
        )


def warm(kept: Mapping[str, Any], settings: Mapping[str, Any]) -> Tensor | None:
    """Return where conjugate gradients begin: at part of the last step's solution (Martens 2010,
    section 4.5); None without one."""
    last: Tensor | None = kept.get("solution")
    return None if last is None or not settings["cg_decay"] else settings["cg_decay"] * last


def note_solution(kept: dict[str, Any], curvature: Curvature, step: Tensor) -> None:
    """Keep a solution for the next step's start, if conjugate gradients found it."""
    if not curvature.exact and bool(torch.isfinite(step).all()):
        kept["solution"] = step
