"""Takeuchi's information criterion: how much noise there is where there is how much curvature.

Source: V. Thomas et al., "On the interplay between noise and curvature and its effect on
optimization and generalization" (AISTATS 2020). The uncentred covariance of gradients against the
Gauss-Newton matrix, as Cockpit's `diag_ggn_exact`; where activations are piecewise linear its
diagonal is the Hessian's, which is Cockpit's default.
"""

from __future__ import annotations

from optbench.instruments.base import Measurement, Progress, unwatched
from optbench.instruments.diagonal import ggn_diagonal, why_no_diagonal
from optbench.instruments.look import Look, Mode
from optbench.instruments.per_example import said, statistics


class TICDiag:
    """sum_j(mean_i g_ij^2 / (h_j + epsilon)).

    Args:
        examples: so many, evenly over the training set; None: the next step's.
        mode: of the modules.
        epsilon: Cockpit's.
    """

    name = "tic_diag"
    what = "information criterion: noise over curvature, by diagonals"

    def __init__(
        self, examples: int | None = None, mode: Mode = "eval", epsilon: float = 1e-7
    ) -> None:
        self._examples, self._mode, self._epsilon = examples, mode, epsilon

    def lacking(self, look: Look) -> str | None:
        """Return why the Gauss-Newton matrix has no diagonal here."""
        return why_no_diagonal(look, self._mode)

    def measure(self, look: Look, progress: Progress = unwatched) -> Measurement:
        """Measure."""
        found = statistics(look, self._examples, self._mode)
        diagonal = ggn_diagonal(look, self._examples, self._mode)
        value = sum(
            float((squares.double() / (own.double() + self._epsilon)).sum())
            for squares, own in zip(found.squares, diagonal, strict=True)
        )
        return Measurement({self.name: value}, notes=[said(look, self._examples, found.examples)])


class TICTrace(TICDiag):
    """mean_i |g_i|^2 / (tr(H) + epsilon): the same by traces, its sums taken first."""

    name = "tic_trace"
    what = "information criterion: noise over curvature, by traces"

    def measure(self, look: Look, progress: Progress = unwatched) -> Measurement:
        """Measure."""
        found = statistics(look, self._examples, self._mode)
        diagonal = ggn_diagonal(look, self._examples, self._mode)
        trace = sum(float(own.double().sum()) for own in diagonal)
        value = float(found.norms.mean()) / (trace + self._epsilon)
        return Measurement({self.name: value}, notes=[said(look, self._examples, found.examples)])
