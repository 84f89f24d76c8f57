"""What is printed of checks. No torch."""

from __future__ import annotations

import json
import math
import textwrap
from typing import Any

from optbench.check.base import PASS, SKIPPED
from optbench.check.result import Checked, Line
from optbench.config.counted import counted
from optbench.console import print_lines, print_text, width
from optbench.escape import escaped

FIRST, SECOND = 7, 14
"""Columns of status and check."""


def line_told(line: Line) -> None:
    """Print a finding: its line, and below it what it follows from and what helps."""
    found = line.finding
    _print(f"{found.status:<{FIRST}} {line.check:<{SECOND}}", found.what)
    told = [("evidence", found.evidence), ("cause", found.cause), ("remedy", found.remedy)]
    if found.status in (PASS, SKIPPED):
        told = told[:1]
    for word, text in told:
        if text:
            _print(f"{'':<{FIRST}} {word:>{SECOND}}", text)


def _print(head: str, text: str) -> None:
    """Print a text beside what it is, and below that where it goes on; below it all if narrow."""
    head, hang = f"{head} ", len(head) + 1
    if width() < 2 * hang:
        head, hang = f"{' '.join(head.split())}: ", 2
    lines = textwrap.wrap(
        escaped(text),
        max(width(), 20),
        initial_indent=head,
        subsequent_indent=" " * hang,
        break_long_words=False,
        break_on_hyphens=False,
    )
    print_lines("\n".join(lines))


def end_told(checked: Checked) -> None:
    """Print how many there were of each."""
    counts = checked.counts
    said = ", ".join(
        text
        for text in (
            f"{counts['pass']} passed",
            counted(counts["warn"], "warning") if counts["warn"] else "",
            f"{counts['fail']} failed" if counts["fail"] else "",
            f"{counts['skipped']} skipped" if counts["skipped"] else "",
        )
        if text
    )
    print_text(f"{checked.name}: {said} ({checked.seconds:.0f} s)")


def json_told(checked: Checked) -> None:
    """Print all as one JSON object."""
    print_lines(json.dumps(_finite(checked.plain), indent=2, ensure_ascii=False))


def _finite(value: Any) -> Any:
    """Write numbers that are not finite as words, as run folders have them."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, list) else value
