"""What a rule is, what it is told, and what it finds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from optbench.symptoms.facts import Facts

Record = Mapping[str, Any]
"""As a line of metrics.jsonl: `kind`, `step`, `epoch`, and values by tag. The last one of a run
that has ended is of the kind `end`, with its `state` and `message`."""


@dataclass(frozen=True)
class Symptom:
    """What a rule has found.

    Attributes:
        name: the rule's.
        step: at which it was seen.
        what: it is, in a sentence.
        evidence: the numbers.
        cause: the likely one.
        remedies: overrides to paste, the first to be tried first.
        severe: whether the run is hardly worth going on with.
        variant: of the same symptom, told anew when it changes, such as `low`, `high`.
        tags: of what is drawn beside it.
    """

    name: str
    step: int
    what: str
    evidence: str
    cause: str
    remedies: tuple[str, ...] = ()
    severe: bool = False
    variant: str = ""
    tags: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """All of it in one line, for a run that goes on."""
        remedy = f"; try {self.remedies[0]}" if self.remedies else ""
        return f"{self.name} at step {self.step}: {self.what} ({self.evidence}){remedy}"


class Rule:
    """Base of the rules: each sees a run's records one after the other, in their order.

    What a rule says follows from the facts and the records alone: no clock, no random numbers, no
    values that are others each time (`throughput/`, `memory/`, `seconds`). So it says the same of a
    run that was interrupted, as of one that was not.

    A rule of your own is a class like these: `doctor.rules=[{_target_: my.module.MyRule}]`.

    Attributes:
        name: how it is called in `doctor.stop_on` and on the command line.
        kinds: of records that it wants to see: train, monitor, val, test, end.
        help: what it looks for, in a line.
        default: whether it is on unless it is asked for.
        once: whether it has no more to say after its first symptom.
        at_end: whether it can tell at a run's end only, and so end none.
    """

    name: ClassVar[str] = ""
    kinds: ClassVar[tuple[str, ...]] = ("train",)
    help: ClassVar[str] = ""
    default: ClassVar[bool] = True
    once: ClassVar[bool] = True
    at_end: ClassVar[bool] = False

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.variant: str | None = None
        """What it has said last, None as long as it has said nothing."""

    @classmethod
    def applies(cls, facts: Facts) -> bool:
        """Return whether there is anything to look for in such a run; else nobody asks it."""
        return True

    def observe(self, record: Record) -> Symptom | None:
        """Take a record in; return a symptom where there is a new one, or it has changed."""
        raise NotImplementedError(f"{type(self).__name__} has no method observe")

    def found(
        self,
        record: Record,
        what: str,
        evidence: str,
        cause: str,
        *remedies: str,
        severe: bool = False,
        variant: str = "",
        tags: tuple[str, ...] = (),
    ) -> Symptom:
        """Return the symptom, and remember that it was told."""
        self.variant = variant
        step = int(record["step"])
        each = tuple(dict.fromkeys(remedies))
        return Symptom(self.name, step, what, evidence, cause, each, severe, variant, tags)
