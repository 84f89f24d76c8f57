"""Polynomial decay over the run."""

import math
from dataclasses import dataclass

from optbench.schedules.checks import require_number
from optbench.schedules.progress import progress


@dataclass(frozen=True)
class Polynomial:
    """Decays the learning rate as a power of what is left of the run.

    The multiplier at step t is

        m(t) = r + (1 - r) (1 - min(t, T) / T) ^ p

    where T is `total_steps`, p is `power` and r is `min_ratio`. With r = 0 it equals
    torch's `PolynomialLR(total_iters=T, power=p)`.

    Args:
        power: p, above 0; 1 is a straight line, below 1 the decay comes late, above 1 early.
        min_ratio: r, what is left of the base learning rate at the end, in [0, 1].

    Raises:
        ValueError: if a field is out of its range.

    References:
        Chen et al., DeepLab, 2017, the "poly" policy with p = 0.9.
        https://arxiv.org/abs/1606.00915
    """

    power: float = 1.0
    min_ratio: float = 0.0

    def __post_init__(self) -> None:
        require_number("power", self.power, 0, math.inf, open_low=True, open_high=True)
        require_number("min_ratio", self.min_ratio, 0, 1)

    def __call__(self, step: int, total_steps: int) -> float:
        left = 1.0 - progress(step, total_steps)
        return self.min_ratio + (1.0 - self.min_ratio) * math.pow(left, self.power)
