"""What Cockpit's instruments of single examples' gradients have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod

from optbench.instruments.base import Measurement, Progress, unwatched
from optbench.instruments.look import Look, Mode
from optbench.instruments.per_example import Statistics, said, statistics, why_not


class OfExamples(ABC):
    """One number of the examples' gradients.

    Args:
        examples: so many, evenly over the training set; None: the whole batch of the next step, as
            in Cockpit.
        mode: of the modules.
    """

    name: str
    what: str
    about = ""

    def __init__(self, examples: int | None = None, mode: Mode = "eval") -> None:
        if examples is not None and examples < 2:
            raise ValueError(f"examples={examples}: at least 2")
        self._examples, self._mode = examples, mode

    def lacking(self, look: Look) -> str | None:
        """Return why single examples have no gradients here."""
        return why_not(look, self._mode)

    def measure(self, look: Look, progress: Progress = unwatched) -> Measurement:
        """Measure; a batch of one example has no noise, and gives nothing."""
        found = statistics(look, self._examples, self._mode)
        notes = [said(look, self._examples, found.examples)]
        if found.examples < 2:
            return Measurement({}, notes=[*notes, "one example has no variance"])
        if self.about:
            notes.append(self.about)
        return Measurement({self.name: self.value(found, look)}, notes=notes)

    @abstractmethod
    def value(self, found: Statistics, look: Look) -> float:
        """Return the number."""
