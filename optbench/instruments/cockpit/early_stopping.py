"""The evidence-based criterion for stopping early, which needs no validation set."""

from __future__ import annotations

from optbench.instruments.cockpit.of_examples import OfExamples
from optbench.instruments.look import Look, Mode
from optbench.instruments.per_example import Statistics


class EarlyStopping(OfExamples):
    """1 - N mean_j(g_j^2 / (S_j + epsilon)): above 0, gradients are what noise would be.

    Source: M. Mahsereci, L. Balles, C. Lassner, P. Hennig, "Early Stopping without a Validation
    Set" (2017), equation 7; S_j is the sample variance of entry j.

    Args:
        examples, mode: see `OfExamples`.
        epsilon: Cockpit's.
    """

    name = "early_stopping"
    what = "evidence for stopping: above 0, gradients are what noise would be"

    def __init__(
        self, examples: int | None = None, mode: Mode = "eval", epsilon: float = 1e-5
    ) -> None:
        super().__init__(examples, mode)
        self._epsilon = epsilon

    def value(self, found: Statistics, look: Look) -> float:
        """Return the left side of the criterion."""
        count, total, entries = found.examples, 0.0, 0
        for mean, squares in zip(found.mean, found.squares, strict=True):
            signal = mean.double().square()
            variance = (squares.double() - signal) * count / (count - 1)
            total += float((signal / (variance + self._epsilon)).sum())
            entries += mean.numel()
        return 1 - count * total / entries
