"""Decay with the inverse square root of the step."""

import math
from dataclasses import dataclass

from optbench.schedules.checks import require_steps


@dataclass(frozen=True)
class InverseSqrt:
    """Decays the learning rate as one over the square root of the step.

    The multiplier at step t, counted from the end of the warmup, is

        m(t) = sqrt(k / (k + t))

    where k is `timescale`. It starts at 1, is 1/2 at t = 3k, never reaches 0 and does not
    depend on `total_steps`.

    Behind a `Warmup` of w steps from 0, with k = w, the step s of the run is t + w and the
    multiplier sqrt(w / s): the schedule of Vaswani et al. and of fairseq's
    `inverse_sqrt`, scaled so that its peak is the base learning rate. Other k give the
    shifted form of Transformers' `get_inverse_sqrt_schedule`.

    Args:
        timescale: k, steps, at least 1; for the original schedule, the steps of the warmup.

    Raises:
        ValueError: if `timescale` is out of its range.

    References:
        Vaswani et al., Attention Is All You Need, 2017, equation 3.
        https://arxiv.org/abs/1706.03762
    """

    timescale: int

    def __post_init__(self) -> None:
        require_steps("timescale", self.timescale)

    def __call__(self, step: int, total_steps: int) -> float:
        return math.sqrt(self.timescale / (self.timescale + step))
