"""A learning rate that does not change."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class Constant:
    """Holds the base learning rate throughout.

    The multiplier is m(t) = 1 at every step t.
    """

    constant: ClassVar[bool] = True

    def __call__(self, step: int, total_steps: int) -> float:
        return 1.0
