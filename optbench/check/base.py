"""What a check is, and what it finds. No torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from optbench.check.setup import Setup

PASS, WARN, FAIL, SKIPPED = "pass", "warn", "fail", "skipped"
STATUSES = (PASS, WARN, FAIL, SKIPPED)


@dataclass(frozen=True)
class Finding:
    """One line of a check.

    Attributes:
        status: one of `STATUSES`.
        what: the symptom, or what is in order, in a line.
        evidence: numbers that it follows from.
        cause: the likely one.
        remedy: an override to paste, or what to change in code of one's own.
        numbers: for programs.
    """

    status: str
    what: str
    evidence: str = ""
    cause: str = ""
    remedy: str = ""
    numbers: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.status not in STATUSES:
            raise ValueError(f"status={self.status!r}: one of {', '.join(STATUSES)}")


class Skipped(Exception):
    """Raised by a check that has nothing to say of this training; its text is the reason."""


@runtime_checkable
class Check(Protocol):
    """One check; a user's own is named by its `_target_`.

    Attributes:
        name: in the first column.

    Example:
        >>> class Small:
        ...     name = "size"
        ...
        ...     def run(self, setup):
        ...         if setup.experiment.parameters > 1_000_000:
        ...             yield Finding("warn", "more than a million parameters")
    """

    name: str

    def run(self, setup: Setup) -> Iterable[Finding]:
        """Yield what is found; nothing is a pass.

        It may train what `setup` gives it: all is put back afterwards.

        Raises:
            Skipped: it does not concern this training.
        """
        ...


def passed(what: str, evidence: str = "", **numbers: float) -> Finding:
    """Return a finding that all is well."""
    return Finding(PASS, what, evidence, numbers=numbers)


def warned(
    what: str, evidence: str = "", cause: str = "", remedy: str = "", **numbers: float
) -> Finding:
    """Return what is odd, and may be meant."""
    return Finding(WARN, what, evidence, cause, remedy, numbers)


def failed(
    what: str, evidence: str = "", cause: str = "", remedy: str = "", **numbers: float
) -> Finding:
    """Return what is wrong."""
    return Finding(FAIL, what, evidence, cause, remedy, numbers)


def first_few(names: Iterable[str], most: int = 3) -> str:
    """Return the first names of several, and how many more there are."""
    found = list(names)
    more = f" and {len(found) - most} more" if len(found) > most else ""
    return ", ".join(found[:most]) + more
