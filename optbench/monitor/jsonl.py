"""Records as lines of JSON, of which the first says the format too."""

from __future__ import annotations

import json
from typing import Any

import orjson

from optbench.files import strict
from optbench.monitor.appended import Appended
from optbench.monitor.record import Record
from optbench.rundir import FORMAT

_STRICT = json.JSONEncoder(allow_nan=False)


class JsonLines(Appended):
    """One object a record, as in `metrics.jsonl`."""

    def write(self, record: Record) -> None:
        """Write one line."""
        line = {
            **({} if self._begun else {"format": FORMAT}),
            "kind": record.kind,
            "step": record.step,
            "epoch": round(record.epoch, 6),
            "examples": record.examples,
            "seconds": round(record.seconds, 6),
            **({} if record.passes is None else {"passes": record.passes}),
            **record.values,
        }
        self._append(_encoded(line) + b"\n")


def _encoded(line: dict[str, Any]) -> bytes:
    """Return a line's JSON; numbers that are not finite, which orjson calls null, as words."""
    try:
        text = orjson.dumps(line)
    except TypeError:  # a number beyond 64 bits, or of a kind that it does not know
        text = b"null"
    return text if b"null" not in text else _STRICT.encode(strict(line)).encode("utf-8")
