"""What watching a run costs, measured by the run itself."""

from __future__ import annotations

from collections.abc import Mapping
from time import perf_counter
from typing import Any


class Watching:
    """Seconds that went into watching, by part, over all parts of an interrupted run.

    Two readings of the clock for each part of a step that is watched are all that it costs itself.
    On a GPU, which runs behind the clock, kernels are counted where somebody waits for them.

    Attributes:
        parts: seconds, by what was watched.
        inside: how many of them are seconds of training steps too, as `training_seconds` has them.
        whole: whether they are of the whole run: a checkpoint of an older version has none.
    """

    def __init__(self) -> None:
        self.parts: dict[str, float] = {}
        self.inside = 0.0
        self.whole = True

    def add(self, part: str, seconds: float, inside: bool = False) -> None:
        """Count seconds; `inside`: within a training step."""
        self.parts[part] = self.parts.get(part, 0.0) + seconds
        if inside:
            self.inside += seconds

    def of(self, part: str, inside: bool = False) -> _Block:
        """Count what the block takes."""
        return _Block(self, part, inside)

    def told(self, training_seconds: float) -> dict[str, Any]:
        """Return what summary.json says; None for what nobody knows.

        Args:
            training_seconds: of the run; per cent are of those that would be left unwatched.
        """
        total, plain = sum(self.parts.values()), training_seconds - self.inside
        known = self.whole and plain > 0
        return {
            "monitor/seconds": total if self.whole else None,
            "monitor/percent": 100 * total / plain if known else None,
            "monitor/parts": dict(sorted(self.parts.items())) if self.whole else None,
        }

    def state_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {"parts": dict(self.parts), "inside": self.inside, "whole": self.whole}

    def load_state_dict(self, state: Mapping[str, Any] | None) -> None:
        """Go on from `state_dict()`; None is of a version that had none.

        Raises:
            ValueError: something else.
        """
        if state is None:
            self.whole = False
            return
        parts, inside, whole = state["parts"], state["inside"], state["whole"]
        numbers = isinstance(parts, dict) and all(
            isinstance(name, str) and isinstance(seconds, float) for name, seconds in parts.items()
        )
        if not (numbers and isinstance(inside, float) and isinstance(whole, bool)):
            raise ValueError("watching: no seconds by part")
        self.parts, self.inside, self.whole = dict(parts), inside, whole


class _Block:
    """Counts what a block takes; a generator would cost more than many a part."""

    __slots__ = ("_begun", "_inside", "_part", "_watching")

    def __init__(self, watching: Watching, part: str, inside: bool) -> None:
        self._watching, self._part, self._inside = watching, part, inside

    def __enter__(self) -> None:
        self._begun = perf_counter()

    def __exit__(self, *error: object) -> None:
        self._watching.add(self._part, perf_counter() - self._begun, self._inside)
