"""A schedule over again that a population found."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from optbench.schedules.base import Schedule
from optbench.schedules.checks import require_number, require_steps
from optbench.schedules.constant import Constant


@dataclass(frozen=True)
class Replay:
    """Multiplies a schedule by a factor for each part of the run.

    With factors c_1, ..., c_k of parts that end at the steps e_1 < ... < e_k, and an inner
    schedule m(t, T), the multiplier at step t of T is

        c_i m(t, T)      for e_(i-1) <= t < e_i,   e_0 = 0

    and c_k's from e_k on. The momentum is the inner schedule's.

    Args:
        factors: at least 0.
        ends: of the parts, as many, rising.
        inner: a schedule that does not react to the run.

    Raises:
        ValueError: if a field is out of its range.

    References:
        Jaderberg et al., Population Based Training of Neural Networks, 2017, section 4.
    """

    factors: Sequence[float]
    ends: Sequence[int]
    inner: Schedule = field(default_factory=Constant)

    def __post_init__(self) -> None:
        if not self.factors or len(self.factors) != len(self.ends):
            many = f"{len(self.factors)} factors and {len(self.ends)} ends"
            raise ValueError(f"factors and ends must be as many, and not none; got {many}")
        for factor in self.factors:
            require_number("factors", factor, 0, float("inf"), open_high=True)
        for before, end in zip([0, *self.ends], self.ends, strict=False):
            require_steps("ends", end, before + 1)

    def __call__(self, step: int, total_steps: int) -> float:
        return self.factors[_part(self.ends, step)] * self.inner(step, total_steps)

    def momentum(self, step: int, total_steps: int) -> float | None:
        """Return the inner schedule's momentum; `None` if it has none to set."""
        inner = getattr(self.inner, "momentum", None)
        return None if inner is None else inner(step, total_steps)


@dataclass(frozen=True)
class ReplayedSetting:
    """Gives a setting of an optimizer's parameter groups its value for each part of the run.

    What else is scheduled comes after it, and starts from its value.

    Args:
        setting: a key of the groups, such as `momentum`, or `betas` as a whole.
        index: of the item that it is, where the key has several; None for the whole.
        values: of the parts.
        ends: of the parts, as many, rising.
        groups: the places of the groups that follow.
    """

    setting: str
    index: int | None
    values: Sequence[Any]
    ends: Sequence[int]
    groups: frozenset[int]

    def value(self, step: int, own: Any) -> Any:
        """Return the value for the update that follows `step` updates.

        Args:
            own: the setting's value as it is configured, whose other items stay.
        """
        found = self.values[_part(self.ends, step)]
        if self.index is None:
            return tuple(found) if isinstance(found, list) else found
        return (*own[: self.index], found, *own[self.index + 1 :])


def _part(ends: Sequence[int], step: int) -> int:
    """Return in which part the update is that follows `step` updates."""
    return min(bisect_right(ends, step), len(ends) - 1)
