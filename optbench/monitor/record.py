"""What a run reports, and whom it reports to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


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
    """

    kind: str
    step: int
    epoch: float
    examples: int
    seconds: float
    values: Mapping[str, float]


class Sink(Protocol):
    """Where records go: a file, TensorBoard, the terminal."""

    def write(self, record: Record) -> None:
        """Takes one record."""
        ...

    def flush(self) -> None:
        """Brings what was taken to where a crash can't reach it."""
        ...

    def close(self) -> None:
        """No more records."""
        ...


class Recorder:
    """Hands records to all sinks; other ranks than 0 have none.

    Args:
        sinks: who takes the records.
        tensorboard: the sink that also takes histograms, if there is one.
        live: the sink that is told of every step, if there is one.
    """

    def __init__(
        self, sinks: Sequence[Sink] = (), tensorboard: Any = None, live: Any = None
    ) -> None:
        self.sinks = sinks
        self.tensorboard = tensorboard
        self.live = live

    def write(self, record: Record) -> None:
        """To every sink."""
        for sink in self.sinks:
            sink.write(record)

    def histograms(self, step: int, histograms: Mapping[str, Any]) -> None:
        """Sampled histograms, by tag."""
        if self.tensorboard is not None:
            self.tensorboard.write_histograms(step, histograms)

    def tick(self, step: int) -> None:
        """After every step, for what is shown live."""
        if self.live is not None:
            self.live.tick(step)

    def flush(self) -> None:
        """Before a checkpoint: what it resumes after must be on disk."""
        for sink in self.sinks:
            sink.flush()

    def close(self) -> None:
        """At the end of the run."""
        for sink in self.sinks:
            sink.close()
