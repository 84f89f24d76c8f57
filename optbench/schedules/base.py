"""What a schedule is to the rest of optbench."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeGuard


class Schedule(Protocol):
    """A multiplier of the base learning rate as a function of the step.

    The learning rate of the update that follows `step` updates is
    `lr * schedule(step, total_steps)`, where `lr` is the base learning rate. Multipliers
    are finite and not negative. Those of the schedules that are fixed beforehand lie in
    [0, 1], so that `lr` is the peak; the automatic ones may go above 1.

    Most schedules are pure: the answer depends on the arguments alone, so a resumed run
    needs nothing but its step. The others have more members, each looked for by itself:

    * `counts_warmup`, true where step 0 is the beginning of the run (or of its part of a
      chain) even behind a warmup, which is then a stretch of it; otherwise it begins after it;
    * `momentum(step, total_steps) -> float | None` cycles the momentum too; `None`
      leaves the optimizer's own;
    * `constant`, true where the multiplier never changes, so that nobody has to ask again;
    * `state_dict` and `load_state_dict`: `StatefulSchedule`;
    * `observe`: `ReactiveSchedule`, which watches what is logged;
    * `observe_update`: `UpdateSchedule`, which watches every single update.
    """

    def __call__(self, step: int, total_steps: int) -> float:
        """Return the multiplier.

        Args:
            step: updates taken so far, from 0.
            total_steps: updates of the whole run, at least 1.
        """
        ...


class StatefulSchedule(Schedule, Protocol):
    """A schedule that has more to remember than the step."""

    def state_dict(self) -> dict[str, Any]:
        """Return all that `load_state_dict` needs to go on from here: plain data."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from where `state_dict` was taken."""
        ...


class ReactiveSchedule(StatefulSchedule, Protocol):
    """A schedule that watches a metric of the run; `metric` is its tag."""

    metric: str

    def observe(self, metrics: Mapping[str, float]) -> None:
        """Take one logged record, tag -> value; ignore it if `metric` is not in it."""
        ...


@dataclass(frozen=True)
class Update:
    """The last update, held against the gradient at the point where it led to.

    With the parameters x before it, y after it, and the gradient g at y (unscaled, before
    clipping, averaged over ranks), all parameters of a player as one vector:

    Attributes:
        dot: g . (x - y).
        gradient_norm: ||g||.
        update_norm: ||x - y||.
        lr: learning rate of that update.
        base_lr: what the multiplier multiplies.
    """

    dot: float
    gradient_norm: float
    update_norm: float
    lr: float
    base_lr: float


class UpdateSchedule(StatefulSchedule, Protocol):
    """A schedule that watches every update, whether or not its step is monitored."""

    def observe_update(self, update: Update) -> None:
        """Take the last update, right before the next one, whose rate may follow from it."""
        ...


OPTIONAL_MEMBERS = (
    "metric",
    "observe",
    "observe_update",
    "state_dict",
    "load_state_dict",
)
"""What a schedule around others has if and only if one of those has it."""


# These ask with `hasattr` because a schedule around others has such members only through them,
# which ``isinstance`` with a runtime protocol stops seeing in Python 3.12.


def is_reactive(schedule: object) -> TypeGuard[ReactiveSchedule]:
    """Return whether the trainer has to feed metrics to `schedule`."""
    return hasattr(schedule, "observe")


def watches_updates(schedule: object) -> TypeGuard[UpdateSchedule]:
    """Return whether the trainer has to show every update to `schedule`."""
    return hasattr(schedule, "observe_update")


def has_state(schedule: object) -> TypeGuard[StatefulSchedule]:
    """Return whether the trainer has to save the state of `schedule`."""
    return hasattr(schedule, "state_dict") and hasattr(schedule, "load_state_dict")
