"""What is found, as it is printed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from optbench.console import OUT, picture_width, print_lines, print_table, print_text, shown
from optbench.doctor.diagnosis import Diagnosis
from optbench.plots.terminal import ascii_only, curve
from optbench.symptoms.base import Symptom

HEIGHT = 8
"""Of a picture, in lines."""
INDENT = "  "


def print_diagnosis(found: Diagnosis, first: bool = True) -> None:
    """Print a run's symptoms, each with its evidence, cause, remedies and a picture."""
    if not first:
        print_lines("")
    count = len(found.symptoms)
    what = f"{count} symptom{'s' * (count != 1)}" if count else "nothing looks wrong"
    failed = found.state == "failed"
    if not count and (failed or found.damaged):
        what = "the rest shows no symptom" if found.damaged else "what it recorded shows no symptom"
    if found.damaged:
        what = f"it is damaged; {what}"
    why = f": {found.run.status.get('message') or 'no message'}" if failed else ""
    print_text(f"{shown(found.run.path)}: {found.state} at step {found.step}{why}; {what}")
    for note in found.notes:
        print_text(f"note: {note}")
    drawn: set[tuple[str, ...]] = set()
    for symptom in found.symptoms:
        print_lines("")
        _print_symptom(found, symptom, drawn)


def _print_symptom(found: Diagnosis, symptom: Symptom, drawn: set[tuple[str, ...]]) -> None:
    severe = " (severe)" if symptom.severe else ""
    print_text(f"{symptom.name} at step {symptom.step}{severe}: {symptom.what}")
    print_text(f"{INDENT}evidence  {symptom.evidence}")
    print_text(f"{INDENT}cause     {symptom.cause}")
    for number, remedy in enumerate(symptom.remedies):
        print_lines(f"{INDENT}{'or' if number else 'try'!s:<9} {remedy}")
    if symptom.tags and symptom.tags not in drawn:
        drawn.add(symptom.tags)
        picture = _picture(found, symptom.tags)
        if picture:
            print_lines(picture)


def _picture(found: Diagnosis, tags: Sequence[str]) -> str:
    series = {tag: found.curves[tag] for tag in tags if found.curves.get(tag, ((), ()))[0]}
    if not series:
        return ""
    return curve(
        series,
        width=picture_width(),
        height=HEIGHT + len(series),
        x_label="step",
        y_label=", ".join(series),
        ascii_only=ascii_only(OUT),
    )


def as_table(found: Sequence[Diagnosis]) -> None:
    """Print many runs in a line each, and how often which symptom is."""
    top = Path(os.path.commonpath([each.run.path.parent for each in found]))
    rows = [
        [
            str(each.run.path.relative_to(top)),
            each.state,
            " ".join(dict.fromkeys(symptom.name for symptom in each.symptoms))
            or ("damaged" if each.damaged else "-"),
        ]
        for each in found
    ]
    print_table("", ["run", "state", "symptoms"], rows)
    counts: dict[str, int] = {}
    for each in found:
        for name in dict.fromkeys(symptom.name for symptom in each.symptoms):
            counts[name] = counts.get(name, 0) + 1
    well = sum(not (each.symptoms or each.damaged) for each in found)
    said = [f"{name} {count}" for name, count in sorted(counts.items(), key=lambda c: -c[1])]
    print_text(f"\n{len(found)} runs in {shown(top)}, {well} without a symptom")
    if said:
        print_text(f"by symptom: {', '.join(said)}; optbench doctor RUN shows the evidence")
    for each in found:
        for note in each.notes:
            print_text(f"note: {each.run.path.relative_to(top)}: {note}")
