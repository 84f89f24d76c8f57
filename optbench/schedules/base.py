"""What a schedule is to the rest of optbench."""

from collections.abc import Mapping
from typing import Protocol, TypeGuard


class Schedule(Protocol):
    """A multiplier of the base learning rate as a function of the step.

    The learning rate of the update that follows ``step`` updates is
    ``lr * schedule(step, total_steps)``, where ``lr``, the base learning rate, is the
    peak: multipliers lie in [0, 1].

    Most schedules are pure: the answer depends on the arguments alone, so a resumed run
    needs nothing but its step. The exceptions are `ReactiveSchedule`.

    A schedule that also cycles the momentum has a method
    ``momentum(step, total_steps) -> float | None``; ``None`` leaves the optimizer's own.
    """

    def __call__(self, step: int, total_steps: int) -> float:
        """Returns the multiplier.

        Args:
          step: updates taken so far, from 0.
          total_steps: updates of the whole run, at least 1.
        """
        ...


class ReactiveSchedule(Schedule, Protocol):
    """A schedule that watches a metric of the run, and so has a state to save."""

    metric: str

    def observe(self, metrics: Mapping[str, float]) -> None:
        """Takes one logged record, tag -> value; ignores it if ``metric`` is not in it."""
        ...

    def state_dict(self) -> dict[str, float]:
        """Returns all that `load_state_dict` needs to go on from here."""
        ...

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        """Goes on from where `state_dict` was taken."""
        ...


REACTIVE_MEMBERS = ("metric", "observe", "state_dict", "load_state_dict")


def is_reactive(schedule: Schedule) -> TypeGuard[ReactiveSchedule]:
    """Whether the trainer has to feed metrics to ``schedule`` and save its state.

    Asked with `hasattr` because a `Warmup` has these members only through its inner
    schedule, which ``isinstance`` with a runtime protocol stops seeing in Python 3.12.
    """
    return all(hasattr(schedule, member) for member in REACTIVE_MEMBERS)
