"""What recomputing activations costs in operations, and what it saves in memory."""

from __future__ import annotations

from typing import Any

from optbench.claims.found import Found
from optbench.claims.measured import Measured
from optbench.errors import UserError


def measure(found: Found) -> Measured:
    """Return operations of an example, and bytes of activations, with over without, by seed.

    The parts are `kept` and `recomputed`, runs with `monitor.flops=true`; and `kept_memory` and
    `recomputed_memory`, the check of memory.
    """
    operations = {
        part: {ran.seed: float(ran.run.summary["flops_per_example"]) for ran in found.runs(part)}
        for part in ("kept", "recomputed")
    }
    memory = {
        part: {each["seed"]: activations(each) for each in found.others[f"{part}_memory"]}
        for part in ("kept", "recomputed")
    }
    ratios: dict[str, dict[int, float | None]] = {"operations": {}, "activations": {}}
    for name, parts in (("operations", operations), ("activations", memory)):
        for seed, value in parts["kept"].items():
            ratios[name][seed] = parts["recomputed"][seed] / value
    return Measured(ratios)


def activations(checked: dict[str, Any]) -> float:
    """Return the bytes of activations that the check of memory says.

    Raises:
        UserError: it says none.
    """
    for line in checked["lines"]:
        if "activations_bytes" in line.get("numbers", {}):
            return float(line["numbers"]["activations_bytes"])
    raise UserError("measure: the check of memory says nothing of activations")
