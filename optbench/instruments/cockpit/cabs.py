"""CABS: the batch size that goes with a learning rate."""

from __future__ import annotations

import math

from optbench.instruments.cockpit.of_examples import OfExamples
from optbench.instruments.look import Look
from optbench.instruments.per_example import Statistics


class CABS(OfExamples):
    """lr tr(Sigma) / loss, by the biased covariance, as in Cockpit.

    Source: L. Balles, J. Romero, P. Hennig, "Coupling Adaptive Batch Sizes with Learning Rates"
    (2017), equation 22.
    """

    name = "cabs"
    what = "batch size that goes with lr, by CABS"
    about = "for SGD without momentum, and a loss whose minimum is 0"

    def value(self, found: Statistics, look: Look) -> float:
        """Return the suggested batch size; inf at a loss of 0."""
        count, loss = found.examples, float(found.losses.mean())
        biased = found.trace * (count - 1) / count
        return look.player.lr * biased / loss if loss > 0 else math.inf
