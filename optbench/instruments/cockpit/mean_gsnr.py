"""The mean signal-to-noise ratio of the gradient's entries."""

from __future__ import annotations

from optbench.instruments.cockpit.of_examples import OfExamples
from optbench.instruments.look import Look, Mode
from optbench.instruments.per_example import Statistics


class MeanGSNR(OfExamples):
    """mean_j(g_j^2 / (var_j + epsilon)), by the biased variance of entry j.

    Source: J. Liu, G. Jiang, Y. Bai, T. Chen, H. Wang, "Understanding Why Neural Networks
    Generalize Well Through GSNR of Parameters" (ICLR 2020).

    Args:
        examples, mode: see `OfExamples`.
        epsilon: Cockpit's.
    """

    name = "mean_gsnr"
    what = "mean signal-to-noise ratio of the gradient's entries"

    def __init__(
        self, examples: int | None = None, mode: Mode = "eval", epsilon: float = 1e-5
    ) -> None:
        super().__init__(examples, mode)
        self._epsilon = epsilon

    def value(self, found: Statistics, look: Look) -> float:
        """Return the mean over all entries."""
        total, entries = 0.0, 0
        for mean, squares in zip(found.mean, found.squares, strict=True):
            signal = mean.double().square()
            total += float((signal / (squares.double() - signal + self._epsilon)).sum())
            entries += mean.numel()
        return total / entries
