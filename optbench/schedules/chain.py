"""One schedule after another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optbench.schedules.base import (
    OPTIONAL_MEMBERS,
    Schedule,
    Update,
    has_state,
    is_reactive,
    watches_updates,
)
from optbench.schedules.checks import require_number, require_steps
from optbench.schedules.saving import restore, save


@dataclass(frozen=True)
class Part:
    """A schedule, how long it lasts, and what its multipliers are scaled by.

    Args:
        schedule: its step 0 is the part's first step, its length the part's.
        steps: how long, at least 1; None, for the last part only, takes what is left.
        scale: a factor, at least 0.

    Raises:
        ValueError: if a field is out of its range.
    """

    schedule: Schedule
    steps: int | None = None
    scale: float = 1.0

    def __post_init__(self) -> None:
        if self.steps is not None:
            require_steps("for", self.steps)
        require_number("scale", self.scale, 0, float("inf"), open_high=True)


class Chain:
    """Several schedules, each over a part of the run, the last one to its end.

    With parts of n_1, ..., n_(k-1) steps that begin at b_i = n_1 + ... + n_(i-1), the
    multiplier at step t of T is

        m(t) = c_i m_i(t - b_i, n_i)      for b_i <= t < b_(i+1)

    where m_i and c_i are the schedule and the scale of part i and n_k = T - b_k. It equals
    torch's `SequentialLR` with the milestones b_2, ..., b_k wherever the parts equal
    torch's.

    The momentum is that of the present part, or the optimizer's own where it sets none. What
    is observed goes to the present part alone, so a part that reacts starts with its first
    step and keeps still after its last. The milestones of a part count from its own first step.

    Args:
        parts: at least one; all but the last with a length.

    Raises:
        ValueError: no parts, or lengths that are missing or too many.

    References:
        `torch.optim.lr_scheduler.SequentialLR`.
    """

    def __init__(self, parts: Sequence[Part]) -> None:
        if not parts:
            raise ValueError("parts must name at least one schedule, got none")
        for number, part in enumerate(parts[:-1]):
            if part.steps is None:
                raise ValueError(f"parts[{number}] must say for how long; only the last may not")
        if parts[-1].steps is not None:
            raise ValueError(f"parts[{len(parts) - 1}] takes what is left, got {parts[-1].steps}")
        self.parts = tuple(parts)
        self._starts = [sum(p.steps or 0 for p in self.parts[:i]) for i in range(len(self.parts))]
        self._present = 0

    def __call__(self, step: int, total_steps: int) -> float:
        self._present = index = self._index(step)
        part = self.parts[index]
        return part.scale * part.schedule(*self._inside(index, step, total_steps))

    def momentum(self, step: int, total_steps: int) -> float | None:
        """Return the present part's momentum; `None` if it has none to set."""
        index = self._index(step)
        of_part = getattr(self.parts[index].schedule, "momentum", None)
        if of_part is None:
            return None
        momentum: float | None = of_part(*self._inside(index, step, total_steps))
        return momentum

    def _index(self, step: int) -> int:
        return max(i for i, start in enumerate(self._starts) if start <= max(step, 0))

    def _inside(self, index: int, step: int, total_steps: int) -> tuple[int, int]:
        """Return step and length as the part counts them."""
        start, length = self._starts[index], self.parts[index].steps
        return step - start, max(total_steps - start, 1) if length is None else length

    def __getattr__(self, name: str) -> Any:
        # Each only if a part has it, so that a chain of pure schedules is pure.
        if name in OPTIONAL_MEMBERS and "parts" in self.__dict__:
            schedules = [part.schedule for part in self.parts]
            if name in ("observe", "metric") and any(map(is_reactive, schedules)):
                return self._observe if name == "observe" else self._metric()
            if name == "observe_update" and any(map(watches_updates, schedules)):
                return self._observe_update
            if name in ("state_dict", "load_state_dict") and any(map(has_state, schedules)):
                return self._state_dict if name == "state_dict" else self._load_state_dict
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def _metric(self) -> str:
        return ", ".join(part.schedule.metric for part in self.parts if is_reactive(part.schedule))

    def _observe(self, metrics: Mapping[str, float]) -> None:
        schedule = self.parts[self._present].schedule
        if is_reactive(schedule):
            schedule.observe(metrics)

    def _observe_update(self, update: Update) -> None:
        schedule = self.parts[self._present].schedule
        if watches_updates(schedule):
            schedule.observe_update(update)

    def _state_dict(self) -> dict[str, Any]:
        return {
            str(number): save(part.schedule)
            for number, part in enumerate(self.parts)
            if has_state(part.schedule)
        }

    def _load_state_dict(self, state: Mapping[str, Any]) -> None:
        for number, part in enumerate(self.parts):
            restore(part.schedule, state.get(str(number)))
