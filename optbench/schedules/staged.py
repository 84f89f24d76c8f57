"""A schedule of one of several optimizers that follow each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from optbench.schedules.base import Schedule, has_state, is_reactive
from optbench.schedules.saving import kind


class Clock(Protocol):
    """Where a stage is: whether records tell of it, when it began, the factor of its rates."""

    @property
    def stepped(self) -> bool:
        """Whether it is the stage's turn, and it has taken a step."""

    @property
    def begun(self) -> int | None:
        """The updates before its first; None before that."""

    @property
    def factor(self) -> float:
        """What its learning rates are multiplied with."""


class Staged:
    """A schedule that begins with a stage, over what the stage is to be of the run.

        m(t) = c inner(t - b, e - b)    from t = b on
        m(t) = inner(0, T)              before

    where b is the update at which the stage began, e is `end`, or where that is None the run's
    end T, and c the stage's factor. It sees the records that tell of the stage's steps.

    Args:
        inner: the schedule.
        clock: says where the stage is.
        end: the step at which the stage is over at the latest; None: with the run.
    """

    def __init__(self, inner: Schedule, clock: Callable[[], Clock], end: int | None = None) -> None:
        self.inner, self._clock, self._end = inner, clock, end

    def __call__(self, step: int, total_steps: int) -> float:
        clock = self._clock()
        return clock.factor * self.inner(*self._inside(clock, step, total_steps))

    def _inside(self, clock: Clock, step: int, total_steps: int) -> tuple[int, int]:
        end = total_steps if self._end is None else self._end
        if clock.begun is None:
            return 0, max(end, 1)
        length = max(end - clock.begun, 1)
        return min(max(step - clock.begun, 0), length), length

    def momentum(self, step: int, total_steps: int) -> float | None:
        """Return the inner schedule's momentum; `None` if it has none to set."""
        inner = getattr(self.inner, "momentum", None)
        if inner is None:
            return None
        found: float | None = inner(*self._inside(self._clock(), step, total_steps))
        return found

    @property
    def kind(self) -> str:
        """That of the inner schedule."""
        return kind(self.inner)

    def __getattr__(self, name: str) -> Any:
        # Each only if the inner schedule has it.
        if "inner" in self.__dict__:
            if name == "observe" and is_reactive(self.inner):
                return self._observe
            reacts = name == "metric" and is_reactive(self.inner)
            remembers = name in ("state_dict", "load_state_dict") and has_state(self.inner)
            if reacts or remembers:
                return getattr(self.inner, name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def _observe(self, metrics: Mapping[str, float]) -> None:
        if self._clock().stepped and is_reactive(self.inner):
            self.inner.observe(metrics)


class Factored:
    """The run's schedule, times the factor of a stage.

    Records go to the run's own, which is asked for its multiplier only.

    Args:
        inner: the run's schedule.
        clock: says where the stage is.
    """

    def __init__(self, inner: Schedule, clock: Callable[[], Clock]) -> None:
        self.inner, self._clock = inner, clock

    def __call__(self, step: int, total_steps: int) -> float:
        return self._clock().factor * self.inner(step, total_steps)

    def momentum(self, step: int, total_steps: int) -> float | None:
        """Return the run's momentum; `None` if it has none to set."""
        inner = getattr(self.inner, "momentum", None)
        found: float | None = None if inner is None else inner(step, total_steps)
        return found
