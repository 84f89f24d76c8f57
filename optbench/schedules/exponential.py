"""Exponential decay, by a factor or by a rate."""

import math
from dataclasses import dataclass
from typing import ClassVar

from optbench.schedules.checks import require_number, require_steps

DEFAULT_GAMMA = 0.95


@dataclass(frozen=True)
class Exponential:
    """Decays the learning rate by the same factor in every stretch of the same length.

    The multiplier at step t takes one of two forms, by the field that is given:

        m(t) = gamma ^ (t / d)            gamma: factor per d steps
        m(t) = exp(-lambda * t / d)       lambda, `rate`: decay rate per d steps

    where d is `decay_steps`. They are the same curve for lambda = -ln(gamma). The decay
    is continuous: t / d is not rounded. With `gamma` and d = 1 it equals torch's
    `ExponentialLR`, and with d = one epoch it meets, at the epochs' ends, an
    `ExponentialLR` that is stepped once an epoch. Behind a warmup t still counts from the
    beginning of the run.

    Args:
        gamma: factor per `decay_steps`, in (0, 1]; 0.95 if `rate` is not given either.
        rate: lambda, the decay rate per `decay_steps`, at least 0; excludes `gamma`.
        decay_steps: d, steps in which the rate falls by the factor, at least 1.

    Raises:
        ValueError: if a field is out of its range, or both forms are given.

    References:
        Senior et al., An Empirical Study of Learning Rates in Deep Neural Networks for
        Speech Recognition, 2013 ("exponential scheduling").
    """

    counts_warmup: ClassVar[bool] = True

    gamma: float | None = None
    rate: float | None = None
    decay_steps: int = 1

    def __post_init__(self) -> None:
        if self.gamma is not None and self.rate is not None:
            raise ValueError(
                "gamma and rate exclude each other, "
                f"got gamma={self.gamma!r} and rate={self.rate!r}"
            )
        if self.gamma is not None:
            require_number("gamma", self.gamma, 0, 1, open_low=True)
        if self.rate is not None:
            require_number("rate", self.rate, 0, math.inf, open_high=True)
        require_steps("decay_steps", self.decay_steps)

    def __call__(self, step: int, total_steps: int) -> float:
        time = step / self.decay_steps
        if self.rate is not None:
            return math.exp(-self.rate * time)
        gamma = DEFAULT_GAMMA if self.gamma is None else self.gamma
        return math.pow(gamma, time)
