"""Cyclical learning rates."""

from dataclasses import dataclass
from typing import Literal, get_args

from optbench.schedules.checks import require_choice, require_number, require_steps

CycleMode = Literal["triangular", "triangular2", "exp_range"]


@dataclass(frozen=True)
class Cyclic:
    """Moves the learning rate up and down between two bounds, in triangles.

    The multiplier at step t, and the momentum if it is cycled, are

        m(t)  = r + (1 - r) h(t)
        mu(t) = mu_max - (mu_max - mu_base) h(t)

    with the height of the triangle

        h(t) = a(t) * p / u              for p <= u
        h(t) = a(t) * (u + d - p) / d    after that

    where u is `step_size_up`, d is `step_size_down`, p = t mod (u + d) is the position
    in the cycle c = floor(t / (u + d)), r is `min_ratio`, mu_base and mu_max are
    `base_momentum` and `max_momentum`, and the amplitude a is, by `mode`,

        triangular:   a(t) = 1
        triangular2:  a(t) = 1 / 2 ^ c
        exp_range:    a(t) = gamma ^ t

    It equals torch's `CyclicLR(base_lr=r * lr, max_lr=lr)`: the base learning rate of
    optbench is the peak, torch's `max_lr`. It does not depend on `total_steps`.

    Args:
        step_size_up: u, steps of the rise, at least 1; Smith takes 2 to 10 epochs.
        step_size_down: d, steps of the fall, at least 1; `None` for the same as u.
        mode: "triangular", "triangular2" or "exp_range".
        gamma: base of the amplitude in "exp_range", per step, in (0, 1].
        min_ratio: r, the lower bound, in [0, 1].
        cycle_momentum: whether the momentum (beta1 of Adam) runs against the learning rate.
        base_momentum: mu_base, the momentum at the peak, in [0, 1).
        max_momentum: mu_max, the momentum at the lower bound, in [`base_momentum`, 1).

    Raises:
        ValueError: if a field is out of its range, or the mode is unknown.

    References:
        Smith, Cyclical Learning Rates for Training Neural Networks, 2017, section 3.
        https://arxiv.org/abs/1506.01186
    """

    step_size_up: int
    step_size_down: int | None = None
    mode: CycleMode = "triangular"
    gamma: float = 1.0
    min_ratio: float = 0.1
    cycle_momentum: bool = True
    base_momentum: float = 0.8
    max_momentum: float = 0.9

    def __post_init__(self) -> None:
        require_steps("step_size_up", self.step_size_up)
        if self.step_size_down is not None:
            require_steps("step_size_down", self.step_size_down)
        require_choice("mode", self.mode, get_args(CycleMode))
        require_number("gamma", self.gamma, 0, 1, open_low=True)
        require_number("min_ratio", self.min_ratio, 0, 1)
        require_number("base_momentum", self.base_momentum, 0, 1, open_high=True)
        require_number("max_momentum", self.max_momentum, self.base_momentum, 1, open_high=True)

    def __call__(self, step: int, total_steps: int) -> float:
        return self.min_ratio + (1.0 - self.min_ratio) * self._height(step)

    def momentum(self, step: int, total_steps: int) -> float | None:
        """Return the momentum of the update after `step` steps; `None` if not cycled."""
        if not self.cycle_momentum:
            return None
        return self.max_momentum - (self.max_momentum - self.base_momentum) * self._height(step)

    def _height(self, step: int) -> float:
        up = self.step_size_up
        down = up if self.step_size_down is None else self.step_size_down
        cycle, position = divmod(step, up + down)
        triangle = position / up if position <= up else (up + down - position) / down
        return triangle * self._amplitude(step, cycle)

    def _amplitude(self, step: int, cycle: int) -> float:
        if self.mode == "triangular2":
            return float(0.5**cycle)
        if self.mode == "exp_range":
            return float(self.gamma**step)
        return 1.0
