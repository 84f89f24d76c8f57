"""The norm test of adaptive batch sizes."""

from __future__ import annotations

import math

from optbench.instruments.cockpit.of_examples import OfExamples
from optbench.instruments.look import Look
from optbench.instruments.per_example import Statistics


class NormTest(OfExamples):
    """The least theta for which the test passes: sqrt(tr(S) / (N |g|^2)).

    Source: R. Byrd, G. Chin, J. Nocedal, Y. Wu, "Sample size selection in optimization methods for
    machine learning" (2012), equation 3.9.
    """

    name = "norm_test"
    what = "least theta for which the norm test of the batch size passes"

    def value(self, found: Statistics, look: Look) -> float:
        """Return theta; inf where the gradient is 0."""
        signal = found.signal
        return math.sqrt(found.trace / found.examples / signal) if signal > 0 else math.inf
