"""Records as lines of JSON, of which the first says the format too."""

from __future__ import annotations

import json

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
        try:
            text = _STRICT.encode(line)
        except ValueError:
            text = _STRICT.encode(strict(line))
        self._append(f"{text}\n")
