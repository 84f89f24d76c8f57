"""A learning rate that does not change."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Constant:
    """Holds the base learning rate throughout.

    The multiplier is m(t) = 1 at every step t.
    """

    def __call__(self, step: int, total_steps: int) -> float:
        return 1.0
