"""Piecewise constant decay: by a factor, at regular steps or at given ones."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

from optbench.schedules.checks import require_number, require_steps


@dataclass(frozen=True)
class Step:
    """Multiplies the learning rate by `gamma` every `step_size` steps.

    The multiplier at step t is

        m(t) = gamma ^ floor(t / s)

    where s is `step_size`. It equals torch's `StepLR`. Behind a warmup t still counts from
    the beginning of the run, so decays that fall into the warmup show after it, as in
    EfficientNet's schedule.

    Args:
        step_size: s, steps between two decays, at least 1.
        gamma: factor of one decay, in (0, 1].

    Raises:
        ValueError: if a field is out of its range.
    """

    counts_warmup: ClassVar[bool] = True

    step_size: int
    gamma: float = 0.1

    def __post_init__(self) -> None:
        require_steps("step_size", self.step_size)
        require_number("gamma", self.gamma, 0, 1, open_low=True)

    def __call__(self, step: int, total_steps: int) -> float:
        return float(self.gamma ** (step // self.step_size))


@dataclass(frozen=True)
class MultiStep:
    """Multiplies the learning rate by `gamma` at each of the `milestones`.

    The multiplier at step t is

        m(t) = gamma ^ n(t)

    where n(t) is the number of milestones that are <= t. It equals torch's
    `MultiStepLR`. Behind a warmup t still counts from the beginning of the run (Goyal et al.
    2017, section 5.1: the 30th epoch is the 30th, the first five of which are warmup).

    Args:
        milestones: steps at which to decay, at least 1 and in increasing order; kept as a
            tuple. Equal ones, as parts of a short run round to, decay at once.
        gamma: factor of one decay, in (0, 1].

    Raises:
        ValueError: if a field is out of its range, or the milestones are out of order.

    References:
        He et al., Deep Residual Learning for Image Recognition, 2016, section 4.2: the rate
        is divided by 10 at 32k and 48k of 64k iterations. https://arxiv.org/abs/1512.03385
    """

    counts_warmup: ClassVar[bool] = True

    milestones: Sequence[int]
    gamma: float = 0.1

    def __post_init__(self) -> None:
        milestones = tuple(self.milestones)
        if not milestones:
            raise ValueError("milestones must name at least one step, got none")
        for milestone in milestones:
            require_steps("milestones", milestone)
        if any(late < early for early, late in pairwise(milestones)):
            raise ValueError(f"milestones must be in increasing order, got {list(milestones)}")
        require_number("gamma", self.gamma, 0, 1, open_low=True)
        # A list could be changed later, and OmegaConf's is slow to search.
        object.__setattr__(self, "milestones", milestones)

    def __call__(self, step: int, total_steps: int) -> float:
        return float(self.gamma ** bisect_right(self.milestones, step))
