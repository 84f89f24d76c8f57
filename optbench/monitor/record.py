"""What a run reports, and whom it reports to."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

BATCH_SECONDS = 1.0

Position = tuple[int, int | None]
"""A file's length, and the CRC-32 of what is in it, None where each of its records has one."""


@dataclass(frozen=True, slots=True)
class Record:
    """Measurements at one step.

    Attributes:
        kind: `train`, `monitor`, `val` or `test`.
        step: optimizer steps taken.
        epoch: passes over the training set, with fraction.
        examples: used in training so far.
        seconds: of training so far.
        values: by TensorBoard tag, such as `train/loss`.
        time: when it was made, in seconds since 1970.
        passes: forward-backward passes so far; None where nobody knows.
    """

    kind: str
    step: int
    epoch: float
    examples: int
    seconds: float
    values: Mapping[str, float]
    time: float = field(default_factory=time.time, compare=False)
    passes: float | None = None


class Sink(Protocol):
    """Where records go: a file, TensorBoard, the terminal."""

    def write(self, record: Record) -> None:
        """Take one record."""
        ...

    def flush(self) -> None:
        """Bring what was taken to where a crash can't reach it."""
        ...

    def close(self) -> None:
        """Close; no more records come."""
        ...


class Listener:
    """Base of who only wants to hear records, each as it is made: a sink that shows nothing."""

    def write(self, record: Record) -> None:
        """Take one record."""

    def tick(self, step: int) -> None:
        """Do nothing: nothing is shown live."""

    def decided(self, what: str) -> None:
        """Do nothing: nothing is evaluated."""

    def flush(self) -> None:
        """Do nothing: nothing is held back."""

    def close(self) -> None:
        """Do nothing: nothing is open."""


class Recorder:
    """Hands records to all sinks; other ranks than 0 have none.

    Files get records in batches, at most `BATCH_SECONDS` late: writing ten at once takes a quarter
    of the time of writing one between two steps, with the processor's caches full of the model.

    Args:
        sinks: who takes the records; one whose `at_once` is true gets each as it is made.
        tensorboard: the sink that also takes histograms, if there is one.
        live: the sink that is told of every step and gets every record at once, if there is one.
        earlier: positions of files that earlier parts of the run wrote.
    """

    def __init__(
        self,
        sinks: Sequence[Sink] = (),
        tensorboard: Any = None,
        live: Any = None,
        earlier: Mapping[str, Position] | None = None,
    ) -> None:
        self.sinks = sinks
        self.tensorboard = tensorboard
        self.live = live
        self._earlier = dict(earlier or {})
        waits_not = [sink is live or getattr(sink, "at_once", False) for sink in sinks]
        self._at_once = [s for s, now in zip(sinks, waits_not, strict=True) if now]
        self._in_batches = [s for s, now in zip(sinks, waits_not, strict=True) if not now]
        self._pending: list[Record] = []
        self._handed_out = time.monotonic()

    def write(self, record: Record) -> None:
        """Write the record to every sink."""
        for sink in self._at_once:
            sink.write(record)
        self._pending.append(record)
        if time.monotonic() - self._handed_out > BATCH_SECONDS:
            self._hand_out()

    def _hand_out(self) -> None:
        """Hand all that waits to each sink in a row, once, whatever another raises."""
        pending, self._pending = self._pending, []
        self._handed_out = time.monotonic()
        failed: list[Exception] = []
        for sink in self._in_batches:
            try:
                for record in pending:
                    sink.write(record)
            except Exception as error:
                failed.append(error)
        if failed:
            raise failed[0]

    def histograms(self, step: int, histograms: Mapping[str, Any]) -> None:
        """Write sampled histograms, by tag."""
        if self.tensorboard is not None:
            self._hand_out()
            self.tensorboard.write_histograms(step, histograms)

    def show(self, step: int, texts: Mapping[str, str], images: Mapping[str, bytes]) -> None:
        """Show samples to look at by name, images as PNG, in the sinks that take such."""
        self._hand_out()
        for sink in self.sinks:
            show = getattr(sink, "show", None)
            if show is not None:
                show(step, texts, images)

    def tick(self, step: int) -> None:
        """Tell what is shown live of every step."""
        if self.live is not None:
            self.live.tick(step)

    def decided(self, what: str) -> None:
        """Tell what is shown live that the newest evaluation has decided something."""
        if self.live is not None:
            self.live.decided(what)

    def flush(self) -> None:
        """Flush before a checkpoint: what it resumes after must be on disk."""
        self._hand_out()
        for sink in self.sinks:
            sink.flush()

    def positions(self) -> dict[str, Position]:
        """Return how long each file of records is, what is flushed, by its name in the run folder.

        A checkpoint keeps it, and a run that goes on from there cuts the files to it.
        """
        found = dict(self._earlier)
        for sink in self.sinks:
            positions = getattr(sink, "positions", None)
            if positions is not None:
                found |= positions()
        return found

    def close(self) -> None:
        """Close every sink at the end of the run, whatever one of them raises.

        Raises:
            OSError: the first that a sink raised.
        """
        failed: list[OSError] = []
        for end in (self._hand_out, *(sink.close for sink in self.sinks)):
            try:
                end()
            except OSError as error:
                failed.append(error)
        if failed:
            raise failed[0]
