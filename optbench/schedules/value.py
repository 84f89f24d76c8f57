"""A setting of the optimizer that moves from one value to another."""

from dataclasses import dataclass
from typing import Literal

from optbench.schedules.base import Schedule, is_reactive, watches_updates

Setting = Literal["momentum", "beta2", "weight_decay"]


@dataclass(frozen=True)
class ValueSchedule:
    """Moves momentum, beta2 or weight decay as a schedule falls from 1 to 0.

    With the schedule's multipliers m(t, T), the value at step t of T is

        v(t) = start m + to (1 - m)    with m = m(min(t, n), n)

    where n is `steps`, or T: a linear schedule draws a straight line from `start` to
    `to`, a cosine one half a wave. After n steps it stays. Parameters that were told to have
    no weight decay, such as biases, keep none.

    Args:
        setting: which of the optimizer's settings: "momentum" (of Adam's kin: beta1), "beta2"
            or "weight_decay".
        schedule: a pure one.
        to: where it goes.
        start: where it starts; None for the optimizer's own value.
        steps: n, at least 1; None for the whole run.

    Raises:
        ValueError: if the schedule reacts to the run.

    References:
        Sutskever et al., On the importance of initialization and momentum in deep learning,
        2013, section 3 (momentum). Caron et al., DINO, 2021, section 3.2 (weight decay).
    """

    setting: Setting
    schedule: Schedule
    to: float
    start: float | None = None
    steps: int | None = None

    def __post_init__(self) -> None:
        if is_reactive(self.schedule) or watches_updates(self.schedule):
            raise ValueError(f"{self.setting} can't follow a schedule that reacts to the run")

    def __call__(self, step: int, total_steps: int, own: float) -> float:
        """Return the value for the update that follows `step` updates.

        Args:
            step: updates taken so far.
            total_steps: updates of the whole run.
            own: the optimizer's own value.
        """
        start = own if self.start is None else self.start
        length = total_steps if self.steps is None else self.steps
        part = self.schedule(min(step, length), length)
        return start * part + self.to * (1.0 - part)
