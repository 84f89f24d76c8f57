"""Milestones of step decays, held against the steps that there are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optbench.config.counted import counted
from optbench.config.lengths import Length
from optbench.errors import UserError


def refuse_unreached(
    written: Mapping[str, Any],
    steps: Mapping[str, Any],
    every: int,
    warmup: int,
    last: int,
    key: str,
) -> None:
    """Raise UserError for a milestone that no update sees: after the last one, or in the warmup.

    A part of the run (75%) is reached however a short run rounds it. A step size may be shorter
    than the warmup, for the decays after it count all of them.

    Args:
        written: the schedule's settings; only `step_size` and `milestones` are of interest.
        steps: the same with lengths in steps.
        every: updates in such a step.
        warmup: updates of the warmup.
        last: number of the last update, from 0.
        key: of the settings.
    """
    size, milestones = steps.get("step_size"), steps.get("milestones")
    if isinstance(size, int) and _after(size * every, last, written["step_size"]):
        raise UserError(
            f"{key}.step_size={written['step_size']}: {_never(size * every, last)}; "
            "take a shorter one, a part of the run such as 30%, or schedule=constant"
        )
    if not isinstance(milestones, list):
        return
    for at, text in zip(milestones, written["milestones"], strict=True):
        if not isinstance(at, int):
            continue
        what = f"{key}.milestones: {text}"
        if _after(at * every, last, text):
            raise UserError(
                f"{what}: {_never(at * every, last)}; "
                "take an earlier one, a part of the run such as 50%, or schedule=constant"
            )
        if at * every < warmup:
            raise UserError(
                f"{what}: step {at * every} is in the warmup of {counted(warmup, 'step')}, where "
                "it has no effect; milestones count from the beginning of the run"
            )


def _after(at: int, last: int, text: Any) -> bool:
    try:
        length = Length.parse(text)
    except ValueError:
        return at > last
    return at > last and not (length.unit == "run" and length.value < 1)


def _never(at: int, last: int) -> str:
    are = "are" if last else "is"
    return f"step {at} is never reached, for there {are} {counted(last + 1, 'step')}"
