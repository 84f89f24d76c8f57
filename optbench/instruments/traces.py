"""The Hessian's trace, with its confidence interval."""

from __future__ import annotations

from typing import Any, ClassVar

from optbench.instruments.base import Measurement, Progress, unwatched
from optbench.instruments.curvature import (
    MATRICES,
    OfCurvature,
    check_count,
    check_number,
    check_word,
)
from optbench.instruments.look import Look
from optbench.instruments.trace import CONFIDENCE, METHODS, trace


class HessianTrace(OfCurvature):
    """The trace of the Hessian, with a confidence interval by Student's t.

    Args:
        matrix: `hessian` or `ggn`.
        method: `hutch++`, `hutchinson` or `xtrace`; see `trace.trace`.
        products: with vectors.
        confidence: of the interval.
        others: see `OfCurvature`.
    """

    name = "trace"
    what = "the Hessian's trace with a confidence interval (matrix=ggn: the GGN's)"
    curves: ClassVar = {"trace": ("trace/value", "trace/low", "trace/high")}

    def __init__(
        self,
        *,
        matrix: str = "hessian",
        method: str = METHODS[0],
        products: int = 64,
        confidence: float = CONFIDENCE,
        **others: Any,
    ) -> None:
        super().__init__(**others)
        check_word("matrix", matrix, MATRICES)
        check_word("method", method, METHODS)
        check_count("products", products, 4)
        check_number("confidence", confidence, 0, 1)
        self.matrix, self.method = matrix, method
        self.products, self.confidence = products, confidence

    def measure(self, look: Look, progress: Progress = unwatched) -> Measurement:
        """Measure."""
        with self.looking(look) as matrix:
            wanted = min(self.products, 2 * matrix.room)
            found = trace(
                matrix.matvec,
                matrix.size,
                self.method,
                products=max(4, wanted),
                confidence=self.confidence,
                seed=self.seed,
                dtype=matrix.dtype,
                device=matrix.device,
                told=progress,
            )
        values = {"value": found.value, "low": found.low, "high": found.high}
        values["mean_eigenvalue"] = found.value / matrix.size
        exact = found.products >= matrix.size
        said = f"low to high holds it with {100 * self.confidence:g} %"
        how = "exact" if exact else f"{self.method}, {found.products} products; {said}"
        return Measurement(
            {f"{self.name}/{key}": value for key, value in values.items()},
            tables={"estimates": found.estimates.tolist()},
            notes=[*self.notes(look), how],
        )
