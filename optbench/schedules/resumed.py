"""A user's own schedule with a state, which goes on from it under other settings too."""

import copy
from collections.abc import Mapping
from typing import Any

from optbench.schedules.base import (
    OPTIONAL_MEMBERS,
    StatefulSchedule,
    is_reactive,
    watches_updates,
)
from optbench.schedules.saving import kind, merged


class Resumed:
    """Passes all on to another schedule; what it was saved with decides how that goes on.

    With the settings that it was saved under, from its state. With others, one that reacts to
    the run keeps what it remembers of it and takes the new settings; any other begins anew and
    is asked for all steps up to the present one, as a new run would ask it.

    Args:
        inner: the schedule, as it is at the beginning.
        settings: what it was made of and the run's length, as plain data.
    """

    def __init__(self, inner: StatefulSchedule, settings: Any) -> None:
        self.inner, self._settings = inner, settings
        self._first = copy.deepcopy(inner.state_dict())  # it may be what the schedule writes to
        self._behind = False
        self._reacts = is_reactive(inner) or watches_updates(inner)
        self._answer: list[Any] | None = None  # step, total_steps and the multiplier, asked last
        for member in ("momentum", "constant", "counts_warmup"):
            if hasattr(inner, member):
                setattr(self, member, getattr(inner, member))

    def __call__(self, step: int, total_steps: int) -> float:
        if self._reacts:
            return self.inner(step, total_steps)
        if self._behind:
            self._behind = False
            for earlier in range(step):
                self.inner(earlier, total_steps)
        if self._answer is None or self._answer[:2] != [step, total_steps]:
            self._answer = [step, total_steps, self.inner(step, total_steps)]
        multiplier: float = self._answer[2]
        return multiplier

    @property
    def kind(self) -> str:
        """The inner schedule's."""
        return kind(self.inner)

    def __getattr__(self, name: str) -> Any:
        if name in OPTIONAL_MEMBERS and "inner" in self.__dict__:
            return getattr(self.inner, name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def state_dict(self) -> dict[str, Any]:
        """Return all that `load_state_dict` needs to go on from here."""
        now = self.inner.state_dict()
        saved = {"settings": self._settings, "start": self._first, "now": now}
        return saved if self._reacts else saved | {"answer": self._answer}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from where `state_dict` was taken, under the settings that hold now."""
        self._behind, self._answer = False, None
        if state["settings"] == self._settings:
            self.inner.load_state_dict(state["now"])
            self._answer = state.get("answer")
        elif self._reacts:
            self.inner.load_state_dict(merged(state["now"], state["start"], self._first))
        else:
            self.inner.load_state_dict(copy.deepcopy(self._first))
            self._behind = True
