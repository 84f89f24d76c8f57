"""The step in `status.json`, while the run goes on."""

from __future__ import annotations

from optbench.monitor.record import Record
from optbench.rundir import RunDir


class Status:
    """A sink that keeps the status at the last step that was measured before a checkpoint.

    Args:
        folder: of the run.
    """

    def __init__(self, folder: RunDir) -> None:
        self._folder = folder
        self._step = 0

    def write(self, record: Record) -> None:
        """Remembers the step."""
        self._step = record.step

    def flush(self) -> None:
        """Writes it down."""
        self._folder.write_status("running", self._step)

    def close(self) -> None:
        """How the run ended is written by who knows it."""
