"""Instruments of a user's own."""

from __future__ import annotations

import signal
from collections.abc import Sequence

from optbench.instruments.base import Measurement, Progress, unwatched
from optbench.instruments.look import Look
from optbench.instruments.points import Point, parameters_of


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


class Moved(Norm):
    """How far each point is from the one that is looked at."""

    name = "moved"
    once = True
    at = "last"

    def __init__(self, to: str | None = None) -> None:
        self.to = to

    def lacking(self, look: Look) -> str | None:
        return None

    def measure_along(
        self, look: Look, points: Sequence[Point], progress: Progress = unwatched
    ) -> Measurement:
        far = {}
        for point in points:
            own = zip(look.parameters, parameters_of(point, look), strict=True)
            far[f"moved/{point.run}{point.step}"] = sum(
                float((a.detach() - b).norm()) for a, b in own
            )
        return Measurement(far)
