"""The inner product test of adaptive batch sizes."""

from __future__ import annotations

import math

from optbench.instruments.cockpit.of_examples import OfExamples
from optbench.instruments.look import Look
from optbench.instruments.per_example import Statistics


class InnerTest(OfExamples):
    """The least theta for which the test passes: sqrt(var_i(g_i . g) / (N |g|^4)).

    Source: R. Bollapragada, R. Byrd, J. Nocedal, "Adaptive Sampling Strategies for Stochastic
    Optimization" (2018), equation 2.6.
    """

    name = "inner_test"
    what = "least theta for which the inner product test of the batch size passes"

    def value(self, found: Statistics, look: Look) -> float:
        """Return theta; inf where the gradient is 0."""
        signal = found.signal
        if signal <= 0:
            return math.inf
        return math.sqrt(float(found.dots.var()) / found.examples) / signal
