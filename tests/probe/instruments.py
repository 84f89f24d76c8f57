"""Instruments of a user's own."""

from __future__ import annotations

import signal

from optbench.instruments.base import Measurement, Progress, unwatched
from optbench.instruments.look import Look


class Norm:
    """The weights' norm."""

    name, what = "norm", "the norm of all weights"

    def __init__(self, power: float = 2.0) -> None:
        self.power = power

    def lacking(self, look: Look) -> str | None:
        return "no third power" if self.power == 3 else None

    def measure(self, look: Look, progress: Progress = unwatched) -> Measurement:
        total = sum(float((p.detach().abs() ** self.power).sum()) for p in look.parameters)
        return Measurement({"norm": total ** (1 / self.power)})


class Broken(Norm):
    """Fails."""

    name = "broken"

    def measure(self, look: Look, progress: Progress = unwatched) -> Measurement:
        raise KeyError("no such layer")


class Interrupted(Norm):
    """Has Ctrl-C pressed as it measures the second of three things."""

    name = "interrupted"

    def measure(self, look: Look, progress: Progress = unwatched) -> Measurement:
        for done in range(3):
            if done == 1 and look.step == 4:
                signal.raise_signal(signal.SIGINT)
            progress(done, 3)
        return Measurement({"interrupted": 1.0})
