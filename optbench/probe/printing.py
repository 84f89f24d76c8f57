"""What a probing prints."""

from __future__ import annotations

from collections.abc import Sequence

from optbench.console import print_table, print_text
from optbench.monitor.numerals import significant
from optbench.probe.measure import Measured, Taken

MOST_STEPS = 6
"""Columns of steps in the table; the rest stands in probe.json."""


def print_measured(measured: Measured) -> None:
    """Print the values as a table, a column for each step, and what there is to say of them."""
    shown = _shown([s for s in measured.steps if any(s in each.points for each in measured.taken)])
    rows = [row for taken in measured.taken for row in _rows(taken, shown)]
    if rows:
        print_table("", ["", *(f"step {step}" for step in shown)], rows)
    for line in [*measured.notes, *lines(measured.taken)]:
        print_text(line)
    left = len(measured.steps) - len(shown)
    if left > 0 and rows:
        print_text(f"{left} more steps in probe.json")


def _shown(steps: Sequence[int]) -> list[int]:
    """Return the steps that there is room for, evenly spread, with the first and the last."""
    if len(steps) <= MOST_STEPS:
        return [*steps]
    places = [round(i * (len(steps) - 1) / (MOST_STEPS - 1)) for i in range(MOST_STEPS)]
    return [steps[place] for place in places]


def _rows(taken: Taken, steps: Sequence[int]) -> list[list[str]]:
    names = list(dict.fromkeys(k for each in taken.points.values() for k in each.values))
    found = []
    for name in names:
        values = [taken.points[s].values.get(name) if s in taken.points else None for s in steps]
        found.append([name, *("" if v is None else significant(v) for v in values)])
    return found


def lines(taken: Sequence[Taken]) -> list[str]:
    """Return the notes of all instruments, each once, and who was left out, and why."""
    notes: dict[str, list[str]] = {}
    for each in taken:
        last = list(each.points.values())[-1:]
        for note in [note for found in last for note in found.notes]:
            notes.setdefault(note, []).append(each.name)
    found = [f"{', '.join(dict.fromkeys(names))}: {note}" for note, names in notes.items()]
    reasons: dict[str, list[str]] = {}
    for each in taken:
        for why in dict.fromkeys(each.lacking.values()):
            steps = [step for step, said in each.lacking.items() if said == why]
            at = "" if len(steps) == len({*each.lacking, *each.points}) else _listed(steps)
            reasons.setdefault(f"left out{at}: {why}", []).append(each.name)
    return [*found, *(f"{', '.join(names)}: {why}" for why, names in reasons.items())]


def _listed(steps: Sequence[int]) -> str:
    return f" at step {', '.join(map(str, steps[:5]))}{' and more' if len(steps) > 5 else ''}"
