"""Which part of planted bugs a check finds."""

from __future__ import annotations

from optbench.claims.found import Found
from optbench.claims.measured import Measured

TROUBLE = ("warn", "fail")


def measure(found: Found, healthy: str = "healthy") -> Measured:
    """Return the share of parts, each with a bug, that a check warns of or fails, by seed.

    Args:
        healthy: the part without a bug; what is found there is the quantity `false alarms`.
    """
    shares: dict[int, list[float]] = {}
    alarms: dict[int, float | None] = {}
    notes = []
    for part, checked in found.others.items():
        for each in checked:
            lines = [line for line in each["lines"] if line["status"] in TROUBLE]
            if part == healthy:
                alarms[each["seed"]] = float(bool(lines))
            else:
                shares.setdefault(each["seed"], []).append(float(bool(lines)))
        said = [line["what"] for line in checked[0]["lines"]]
        notes.append(f"{part}: {'; '.join(said)}")
    means = {seed: sum(each) / len(each) for seed, each in shares.items()}
    return Measured({"found": means, "false alarms": alarms}, notes=notes)
