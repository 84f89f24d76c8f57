"""What a schedule remembers, as it is saved and as it goes on from there."""

from collections.abc import Mapping
from typing import Any

from optbench.schedules.base import Schedule, has_state


def save(schedule: Schedule) -> dict[str, Any] | None:
    """Return the state of a schedule, and of which kind it is; None for one that has none."""
    if not has_state(schedule):
        return None
    return {"kind": kind(schedule), "state": schedule.state_dict()}


def restore(schedule: Schedule, saved: Mapping[str, Any] | None) -> None:
    """Go on from what `save` gave; one that took another's place since then starts anew."""
    if saved is not None and has_state(schedule) and saved["kind"] == kind(schedule):
        schedule.load_state_dict(saved["state"])


def kind(schedule: object) -> str:
    """Return the name of a schedule's class; a warmup before it makes it no other."""
    of = getattr(schedule, "kind", None) or type(schedule)
    return of if isinstance(of, str) else f"{of.__module__}.{of.__qualname__}"


def merged(
    saved: Mapping[str, Any], start: Mapping[str, Any], fresh: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a state with the history of one run and the settings of another.

    Settings and history may stand side by side in a state. What differs between the two at their
    beginnings is a setting that was changed, and is the new one's; all else is history.

    Args:
        saved: the state that was reached.
        start: what it was at the beginning.
        fresh: what it is at the beginning with the settings that hold now.
    """
    kept = {k: v for k, v in saved.items() if k in fresh and _equal(start.get(k), fresh[k])}
    return {**fresh, **kept}


def _equal(one: Any, other: Any) -> bool:
    try:
        return bool(one == other)
    except (RuntimeError, ValueError):  # arrays say it for each number
        return repr(one) == repr(other)
