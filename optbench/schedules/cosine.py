"""Cosine annealing, once over the run or with warm restarts.

Warm-up, before any schedule, is `warmup.py`.
"""

import math
from dataclasses import dataclass

from optbench.schedules.checks import require_number, require_steps
from optbench.schedules.progress import progress


def half_cosine(fraction: float, min_ratio: float) -> float:
    """Return r + (1 - r) (1 + cos(pi x)) / 2, where x is `fraction` and r `min_ratio`."""
    return min_ratio + (1.0 - min_ratio) * (1.0 + math.cos(math.pi * fraction)) / 2.0


@dataclass(frozen=True)
class Cosine:
    """Anneals the learning rate along half a cosine over the whole run.

    The multiplier at step t is

        m(t) = r + (1 - r) (1 + cos(pi * min(t, T) / T)) / 2

    where T is `total_steps` and r is `min_ratio`. Up to T it equals torch's
    `CosineAnnealingLR(T_max=T, eta_min=r * lr)`; torch's rises again after T, this one
    stays at r.

    Args:
        min_ratio: r, what is left of the base learning rate at the end, in [0, 1].

    Raises:
        ValueError: if `min_ratio` is out of its range.

    References:
        Loshchilov and Hutter, SGDR: Stochastic Gradient Descent with Warm Restarts, 2017,
        equation 5 without restarts. https://arxiv.org/abs/1608.03983
    """

    min_ratio: float = 0.0

    def __post_init__(self) -> None:
        require_number("min_ratio", self.min_ratio, 0, 1)

    def __call__(self, step: int, total_steps: int) -> float:
        return half_cosine(progress(step, total_steps), self.min_ratio)


@dataclass(frozen=True)
class CosineRestarts:
    """Anneals along half a cosine again and again (SGDR).

    The multiplier at step t is

        m(t) = r + (1 - r) (1 + cos(pi * T_cur / T_i)) / 2

    where r is `min_ratio`, T_i is the length of the cycle i that t lies in,
    T_i = `t_0` * `t_mult` ^ i, and T_cur is the number of steps since that cycle began.
    It does not depend on `total_steps`. It equals torch's
    `CosineAnnealingWarmRestarts(T_0=t_0, T_mult=t_mult, eta_min=r * lr)`.

    Args:
        t_0: steps of the first cycle, at least 1.
        t_mult: by how much each cycle is longer than the one before, an int of at least 1.
        min_ratio: r, what each cycle falls towards, in [0, 1].

    Raises:
        ValueError: if a field is out of its range.

    References:
        Loshchilov and Hutter, SGDR: Stochastic Gradient Descent with Warm Restarts, 2017,
        equation 5. https://arxiv.org/abs/1608.03983
    """

    t_0: int
    t_mult: int = 1
    min_ratio: float = 0.0

    def __post_init__(self) -> None:
        require_steps("t_0", self.t_0)
        require_steps("t_mult", self.t_mult)
        require_number("min_ratio", self.min_ratio, 0, 1)

    def __call__(self, step: int, total_steps: int) -> float:
        since_restart, cycle_length = self._position(step)
        return half_cosine(since_restart / cycle_length, self.min_ratio)

    def _position(self, step: int) -> tuple[int, int]:
        # Whole cycles are subtracted rather than counted with a logarithm, whose rounding
        # can put a restart one cycle off.
        if self.t_mult == 1:
            return step % self.t_0, self.t_0
        cycle_length = self.t_0
        while step >= cycle_length:
            step -= cycle_length
            cycle_length *= self.t_mult
        return step, cycle_length
