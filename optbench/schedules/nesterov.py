"""The momentum of Nesterov's accelerated gradient."""

import math
from dataclasses import dataclass

from optbench.schedules.checks import require_number


@dataclass(frozen=True)
class Nesterov:
    """Falls as the reciprocal of the step, so a momentum that moves from 0 to 1 is Nesterov's.

    The multiplier at step t is

        m(t) = r / (t + r)

    where r is `offset`. A momentum of 1 - m(t) is, at the k-th update (k = t + 1),
    (k - 1) / (k + r - 1): with r = 3 the (k - 1) / (k + 2) of the textbooks, with which the
    loss gap of a smooth convex function falls as 1 / k^2. As the schedule of a learning rate it
    is the reciprocal decay of stochastic approximation.

    Args:
        offset: r, above 0; the rate 1 / k^2 is proved for r >= 3.

    Raises:
        ValueError: if `offset` is out of its range.

    References:
        Su, Boyd, Candès, A Differential Equation for Modeling Nesterov's Accelerated Gradient
        Method, 2016, equations 1 and 21. Robbins, Monro, A Stochastic Approximation Method, 1951.
    """

    offset: float = 3.0

    def __post_init__(self) -> None:
        require_number("offset", self.offset, 0, math.inf, open_low=True, open_high=True)

    def __call__(self, step: int, total_steps: int) -> float:
        return self.offset / (step + self.offset)
