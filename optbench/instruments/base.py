"""What an instrument is, and what it gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from optbench.instruments.look import Look

Values = Mapping[str, float]
Draw = Callable[[Any], None]
"""Draws on matplotlib's Axes; matplotlib is an extra, so nothing of it is imported before."""


class Progress(Protocol):
    """Is told how far an instrument has come."""

    def __call__(self, done: int, of: int) -> None:
        """Take it; may raise to end the measurement."""
        ...


def unwatched(done: int, of: int) -> None:
    """Take how far it has come, and do nothing."""


@dataclass(frozen=True)
class Measurement:
    """What an instrument found at one point.

    Attributes:
        values: numbers by name, such as `hessian/largest`; each becomes a curve where several
            points are measured, a tag `probe/<name>` in TensorBoard.
        tables: what is more than a number, plain data as JSON has it.
        notes: what to bear in mind, each a line: of how many examples, what was left out and why.
        pictures: by name; each draws itself on axes.
    """

    values: Values
    tables: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()
    pictures: Mapping[str, Draw] = field(default_factory=dict)


class Instrument(Protocol):
    """Measures a run at one point, and leaves it as it is.

    Its settings are its constructor's arguments. A user's own has the same two methods.

    Attributes:
        name: as it is asked for.
        what: what it measures, in a line.
    """

    name: str
    what: str

    def lacking(self, look: Look) -> str | None:
        """Return why it can't measure this run, in a line; None where it can."""
        ...

    def measure(self, look: Look, progress: Progress = unwatched) -> Measurement:
        """Measure.

        Raises:
            UserError: it turned out that it can't, in a line.
        """
        ...
