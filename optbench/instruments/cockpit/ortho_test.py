"""The orthogonality test of adaptive batch sizes."""

from __future__ import annotations

import math

from optbench.instruments.cockpit.of_examples import OfExamples
from optbench.instruments.look import Look
from optbench.instruments.per_example import Statistics


class OrthoTest(OfExamples):
    """The least nu for which the test passes, of what is orthogonal to the mean gradient g.

    sqrt(sum_i |g_i - (g_i . g / |g|^2) g|^2 / (N - 1) / (N |g|^2)).

    Source: R. Bollapragada, R. Byrd, J. Nocedal, "Adaptive Sampling Strategies for Stochastic
    Optimization" (2018), equation 3.3.
    """

    name = "ortho_test"
    what = "least nu for which the orthogonality test of the batch size passes"

    def value(self, found: Statistics, look: Look) -> float:
        """Return nu; inf where the gradient is 0."""
        count, signal = found.examples, found.signal
        if signal <= 0:
            return math.inf
        left = float((found.norms - found.dots.square() / signal).sum()) / (count - 1)
        return math.sqrt(max(left, 0.0) / count / signal)
