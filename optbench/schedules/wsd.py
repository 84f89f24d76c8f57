"""Warmup-stable-decay: a constant rate that decays only at the end of the run."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from optbench.schedules.checks import require_choice, require_number, require_steps

DecayShape = Literal["linear", "cosine", "sqrt"]

# What is left of the learning rate at the fraction x of the decay: from 1 to 0.
_DECAY_SHAPES: dict[DecayShape, Callable[[float], float]] = {
    "linear": lambda x: 1.0 - x,
    "cosine": lambda x: (1.0 + math.cos(math.pi * x)) / 2.0,
    "sqrt": lambda x: 1.0 - math.sqrt(x),
}


@dataclass(frozen=True)
class WarmupStableDecay:
    """Holds the base learning rate, then decays it over the last steps of the run.

    This is the stable part and the decay; the warmup is a `Warmup` around it. The
    multiplier at step t is

        m(t) = 1                      for t <= T - d
        m(t) = r + (1 - r) f(x)       after that, with x = min((t - (T - d)) / d, 1)

    where T is `total_steps`, d is `decay_steps`, r is `min_ratio` and f is, by
    `decay_shape`,

        linear:  f(x) = 1 - x
        cosine:  f(x) = (1 + cos(pi x)) / 2
        sqrt:    f(x) = 1 - sqrt(x)

    Where the run is shorter than d, all of it is decay: d = T.

    Args:
        decay_steps: d, steps of the decay, at least 1; 10 to 20 % of the run is usual.
        decay_shape: f: "linear", "cosine" or "sqrt".
        min_ratio: r, what is left of the base learning rate at the end, in [0, 1].

    Raises:
        ValueError: if a field is out of its range, or the shape is unknown.

    References:
        Hu et al., MiniCPM, 2024, which names the schedule (its own f is exponential).
        https://arxiv.org/abs/2404.06395
        Hägele et al., Scaling Laws and Compute-Optimal Training Beyond Fixed Training
        Durations, 2024, section 3, where 1 - sqrt(x) does best.
        https://arxiv.org/abs/2405.18392
    """

    decay_steps: int
    decay_shape: DecayShape = "linear"
    min_ratio: float = 0.0

    def __post_init__(self) -> None:
        require_steps("decay_steps", self.decay_steps)
        require_choice("decay_shape", self.decay_shape, _DECAY_SHAPES)
        require_number("min_ratio", self.min_ratio, 0, 1)

    def __call__(self, step: int, total_steps: int) -> float:
        require_steps("total_steps", total_steps)
        decay_steps = min(self.decay_steps, total_steps)
        into_decay = step - (total_steps - decay_steps)
        if into_decay <= 0:
            return 1.0
        left = _DECAY_SHAPES[self.decay_shape](min(into_decay / decay_steps, 1.0))
        return self.min_ratio + (1.0 - self.min_ratio) * left
