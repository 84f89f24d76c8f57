"""What came of all checks. No torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optbench.check.base import FAIL, SKIPPED, STATUSES, WARN, Finding

FORMAT = 1
"""Of the JSON."""


@dataclass(frozen=True)
class Line:
    """A finding of a check.

    Attributes:
        check: its name.
        finding: what it found.
        seconds: that the check took, said with its first line; 0 with others.
    """

    check: str
    finding: Finding
    seconds: float = 0.0

    @property
    def status(self) -> str:
        """`pass`, `warn`, `fail` or `skipped`."""
        return self.finding.status


@dataclass(frozen=True)
class Checked:
    """What `optbench.check` gives.

    Attributes:
        name: of the run that was looked at.
        lines: in the order in which they were found.
        seconds: in all.
    """

    name: str
    lines: Sequence[Line]
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether nothing failed."""
        return not any(line.status == FAIL for line in self.lines)

    @property
    def counts(self) -> dict[str, int]:
        """Lines by status."""
        found = Counter(line.status for line in self.lines)
        return {status: found[status] for status in STATUSES}

    def of(self, status: str) -> list[Line]:
        """Return the lines of a status."""
        return [line for line in self.lines if line.status == status]

    @property
    def failures(self) -> list[Line]:
        """Those that failed."""
        return self.of(FAIL)

    @property
    def warnings(self) -> list[Line]:
        """Those that warn."""
        return self.of(WARN)

    @property
    def skipped(self) -> list[Line]:
        """Those that were left out; what they say is the reason."""
        return self.of(SKIPPED)

    @property
    def plain(self) -> dict[str, Any]:
        """The whole as plain data: what `--json` prints."""
        return {
            "format": FORMAT,
            "name": self.name,
            "passed": self.passed,
            "counts": self.counts,
            "seconds": round(self.seconds, 3),
            "lines": [_plain(line) for line in self.lines],
        }


def _plain(line: Line) -> Mapping[str, Any]:
    found = line.finding
    return {
        "check": line.check,
        "status": found.status,
        "what": found.what,
        "evidence": found.evidence,
        "cause": found.cause,
        "remedy": found.remedy,
        "numbers": dict(found.numbers),
        "seconds": round(line.seconds, 3),
    }
