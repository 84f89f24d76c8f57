"""A sink whose failures do not end the run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from optbench.monitor.record import Position, Record


class Guarded:
    """Hands records on to a sink until it fails, which is said once.

    Args:
        sink: has `write`; `flush`, `close`, `show` and `positions` if it needs them.
        name: as the user knows it.
        warn: is told of the failure, in one line.
    """

    def __init__(self, sink: Any, name: str, warn: Callable[[str], None]) -> None:
        self._sink, self._name, self._warn = sink, name, warn
        self._positions: dict[str, Position] = {}

    def write(self, record: Record) -> None:
        """Hand the record on."""
        self._call("write", record)

    def flush(self) -> None:
        """Ask the sink to flush."""
        self._call("flush")

    def show(self, step: int, texts: Mapping[str, str], images: Mapping[str, bytes]) -> None:
        """Hand samples on, to a sink that takes such."""
        self._call("show", step, texts, images)

    def positions(self) -> dict[str, Position]:
        """Return the sink's positions; once it has failed, those of before."""
        found = self._call("positions")
        if isinstance(found, dict):
            self._positions = found
        return self._positions

    def close(self) -> None:
        """Close the sink."""
        self._call("close")
        self._sink = None

    def _call(self, method: str, *values: Any) -> Any:
        call = getattr(self._sink, method, None)
        if call is None:
            return None
        try:
            return call(*values)
        except Exception as error:  # whatever a library or a user's own code raises
            self._sink = None
            why = " ".join(str(error).split()).rstrip(".")
            kind = type(error).__name__
            self._warn(
                f"{self._name}: {f'{kind}: {why}' if why else kind}; nothing more is written there"
            )
            return None
