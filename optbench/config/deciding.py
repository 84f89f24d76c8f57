"""Which settings decide no result, whatever they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DECIDES_NOTHING = (
    "name",
    "tags",
    "notes",
    "monitor",
    "probe",
    "checkpoint",
    "data_root",
    "resume",
    "strategy",
    "rank_timeout",
    "sweep",
)
"""Settings that say how a run is seen, found and kept, and who does what of it."""


def what_decides(plain: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings and groups of a config that may decide a result.

    A doctor who ends no run decides nothing, and runs of before there was one have none.
    """
    kept = {key: value for key, value in plain.items() if key not in DECIDES_NOTHING}
    doctor = kept.get("doctor")
    if isinstance(doctor, Mapping) and not doctor.get("stop_on"):
        del kept["doctor"]
    return kept
