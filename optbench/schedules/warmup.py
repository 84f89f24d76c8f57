"""Warmup before any other schedule."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from optbench.schedules.base import OPTIONAL_MEMBERS, Schedule
from optbench.schedules.checks import require_choice, require_number, require_steps
from optbench.schedules.saving import kind

WarmupShape = Literal["linear", "cosine"]

# How much of the rise is done at the fraction x of the warmup: from 0 to 1.
_WARMUP_SHAPES: dict[WarmupShape, Callable[[float], float]] = {
    "linear": lambda x: x,
    "cosine": lambda x: (1.0 - math.cos(math.pi * x)) / 2.0,
}


@dataclass(frozen=True)
class Warmup:
    """Raises the learning rate to its peak, then hands over to another schedule.

    The multiplier at step t is

        m(t) = a + (1 - a) f(t / w)         for t < w
        m(t) = inner(t - w, T - w)          from t = w on
        m(t) = inner(t, T)                  where the inner schedule counts from the start

    where w is `steps`, a is `start`, T is `total_steps` and f is, by `shape`,

        linear:  f(x) = x
        cosine:  f(x) = (1 - cos(pi x)) / 2

    So a shape that spans the run, such as a cosine, spans what the warmup leaves of it, and the
    milestones of a step decay (`Step`, `MultiStep`, `Exponential`) are steps of the run, warmup
    or not, as in Goyal et al.

    The linear one equals torch's `SequentialLR([LinearLR(start_factor=a, total_iters=w),
    inner], [w])`, which refuses a = 0. A run that ends in its warmup leaves the inner
    schedule a length of one step.

    The momentum is the inner schedule's: its first value during the warmup. Where the
    inner schedule is reactive or has a state, so is or has this: what is observed goes to it,
    also during the warmup, and so do `metric`, `state_dict` and `load_state_dict`.

    Args:
        inner: the schedule after the warmup; its step 0 is the first step after it, or with
            `counts_warmup` the warmup's own.
        steps: w, steps of the warmup, at least 0.
        shape: f: "linear" or "cosine".
        start: a, the multiplier at step 0, in [0, 1]; with 0 the first update does nothing.

    Raises:
        ValueError: if a field is out of its range, or the shape is unknown.

    References:
        Goyal et al., Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour, 2017,
        section 2.2 ("gradual warmup"). https://arxiv.org/abs/1706.02677
    """

    inner: Schedule
    steps: int
    shape: WarmupShape = "linear"
    start: float = 0.0

    def __post_init__(self) -> None:
        require_steps("steps", self.steps, at_least=0)
        require_choice("shape", self.shape, _WARMUP_SHAPES)
        require_number("start", self.start, 0, 1)

    def __call__(self, step: int, total_steps: int) -> float:
        if step < self.steps:
            return self.start + (1.0 - self.start) * _WARMUP_SHAPES[self.shape](step / self.steps)
        return self.inner(step - self._before, self._inner_total(total_steps))

    def momentum(self, step: int, total_steps: int) -> float | None:
        """Return the inner schedule's momentum; `None` if it has none to set."""
        inner_momentum = getattr(self.inner, "momentum", None)
        if inner_momentum is None:
            return None
        momentum: float | None = inner_momentum(
            max(step - self._before, 0), self._inner_total(total_steps)
        )
        return momentum

    @property
    def kind(self) -> str:
        """That of the inner schedule: whether there is a warmup makes no other of its state."""
        return kind(self.inner)

    def __getattr__(self, name: str) -> Any:
        # Only these, so that a warmup is reactive, or has a state, exactly when its inner
        # schedule is or has.
        if name in OPTIONAL_MEMBERS:
            return getattr(self.inner, name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @property
    def _before(self) -> int:
        """Steps that the inner schedule does not count."""
        return 0 if getattr(self.inner, "counts_warmup", False) else self.steps

    def _inner_total(self, total_steps: int) -> int:
        return max(total_steps - self._before, 1)
