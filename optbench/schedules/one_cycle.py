"""The one-cycle policy."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from optbench.schedules.checks import require_choice, require_number, require_steps

Anneal = Literal["cos", "linear"]

# From start to end while x goes from 0 to 1.
_ANNEALS: dict[Anneal, Callable[[float, float, float], float]] = {
    "cos": lambda start, end, x: end + (start - end) * (1.0 + math.cos(math.pi * x)) / 2.0,
    "linear": lambda start, end, x: start + (end - start) * x,
}


class _Phase(NamedTuple):
    end_step: float
    multiplier: tuple[float, float]
    momentum: tuple[float, float]


@dataclass(frozen=True)
class OneCycle:
    """Raises the learning rate to its peak once, then anneals it far below its start.

    The multiplier goes through phases, from one value to the next while the step goes from
    the end of the phase before (0 for the first) to the phase's own end:

        phase       ends at step    multiplier            momentum
        up          p T - 1         1 / D -> 1            mu_max -> mu_base
        down        T - 1           1 -> 1 / (D F)        mu_base -> mu_max

    and with `three_phase`

        up          p T - 1         1 / D -> 1            mu_max -> mu_base
        down        2 p T - 2       1 -> 1 / D            mu_base -> mu_max
        annihilate  T - 1           1 / D -> 1 / (D F)    mu_max

    where T is `total_steps`, p is `pct_start`, D is `div_factor`, F is
    `final_div_factor`, mu_base and mu_max are `base_momentum` and `max_momentum`.
    Within a phase the value v goes from a to b with the fraction x of the phase as

        cos:     v = b + (a - b) (1 + cos(pi x)) / 2
        linear:  v = a + (b - a) x

    From step T - 1 on it stays at 1 / (D F), or at the peak if p = 1. Up to there it equals
    torch's `OneCycleLR(max_lr=lr, total_steps=T)`: the base learning rate of optbench is
    the peak. Where p T = 1, torch divides by zero; here step 0 is the peak.

    Args:
        pct_start: p, share of the run in which the rate rises, in [0, 1]; at most 0.5 with
            `three_phase`, so that the fall back fits too.
        anneal: "cos" or "linear".
        div_factor: D, the peak over the first learning rate, at least 1.
        final_div_factor: F, the first learning rate over the last, at least 1 / D.
        three_phase: whether the fall mirrors the rise before the last phase begins.
        cycle_momentum: whether the momentum (beta1 of Adam) runs against the learning rate.
        base_momentum: mu_base, the momentum at the peak, in [0, 1).
        max_momentum: mu_max, the momentum at the start, in [`base_momentum`, 1).

    Raises:
        ValueError: if a field is out of its range, or the annealing is unknown.

    References:
        Smith and Topin, Super-Convergence: Very Fast Training of Neural Networks Using Large
        Learning Rates, 2018. https://arxiv.org/abs/1708.07120
    """

    pct_start: float = 0.3
    anneal: Anneal = "cos"
    div_factor: float = 25.0
    final_div_factor: float = 1e4
    three_phase: bool = False
    cycle_momentum: bool = True
    base_momentum: float = 0.85
    max_momentum: float = 0.95

    def __post_init__(self) -> None:
        require_number("pct_start", self.pct_start, 0, 0.5 if self.three_phase else 1)
        require_choice("anneal", self.anneal, _ANNEALS)
        require_number("div_factor", self.div_factor, 1, math.inf, open_high=True)
        require_number(
            "final_div_factor", self.final_div_factor, 1 / self.div_factor, math.inf, open_high=True
        )
        require_number("base_momentum", self.base_momentum, 0, 1, open_high=True)
        require_number("max_momentum", self.max_momentum, self.base_momentum, 1, open_high=True)

    def __call__(self, step: int, total_steps: int) -> float:
        phase, fraction = self._position(step, total_steps)
        return _ANNEALS[self.anneal](*phase.multiplier, fraction)

    def momentum(self, step: int, total_steps: int) -> float | None:
        """Return the momentum of the update after `step` steps; `None` if not cycled."""
        if not self.cycle_momentum:
            return None
        phase, fraction = self._position(step, total_steps)
        return _ANNEALS[self.anneal](*phase.momentum, fraction)

    def _position(self, step: int, total_steps: int) -> tuple[_Phase, float]:
        """Return the phase that `step` lies in and the fraction of it that is done."""
        require_steps("total_steps", total_steps)
        step = min(step, total_steps - 1)
        start_step = 0.0
        for phase in self._phases(total_steps):
            if step <= phase.end_step:
                break
            start_step = phase.end_step
        length = phase.end_step - start_step
        return phase, (step - start_step) / length if length > 0.0 else 1.0

    def _phases(self, total_steps: int) -> tuple[_Phase, ...]:
        first = 1.0 / self.div_factor
        last = first / self.final_div_factor
        base, high = self.base_momentum, self.max_momentum
        rise = self.pct_start * total_steps
        up = _Phase(rise - 1.0, (first, 1.0), (high, base))
        if not self.three_phase:
            return up, _Phase(total_steps - 1.0, (1.0, last), (base, high))
        down = _Phase(2.0 * rise - 2.0, (1.0, first), (base, high))
        return up, down, _Phase(total_steps - 1.0, (first, last), (high, high))
