"""What `optbench check` says of every workload at its defaults: nothing may fail there.

    python scripts/check_workloads.py [NAME ...] [--seconds 60] [--quick]

Data in $OPTBENCH_DATA; a workload whose data is not there is done on made-up images of the same
shape (CIFAR), or left out. Seconds are of this process on one core, whatever else the machine does.
docs/results/check.md has the table.
"""

from __future__ import annotations

import time
from pathlib import Path

import optbench
from common import parser, start
from optbench.check.base import FAIL, SKIPPED, WARN
from optbench.check.result import Checked
from optbench.errors import UserError

WORKLOADS = Path(__file__).resolve().parents[1] / "configs" / "workload"
MADE_UP = {
    "cifar10_resnet18": ["dataset=synthetic"],
    "cifar100_wrn": ["dataset=synthetic", "dataset.num_classes=100"],
}
"""In place of data that is not there."""


def main() -> int:
    """Print a table, and every line that is no pass; return whether any failed."""
    found = parser(__doc__)
    found.add_argument("names", nargs="*", help="workloads; default: all")
    found.add_argument("--seconds", type=float, default=60.0, help="for all checks of a workload")
    asked = found.parse_args()
    every = sorted(path.stem for path in WORKLOADS.glob("*.yaml"))
    names = asked.names or [name for name in every if name != "none"]
    if asked.quick:
        names = ["digits_mlp", "knapsack"]
    rows, said, failed = [], [], 0
    time.perf_counter = time.process_time
    for name in names:
        try:
            checked = _checked(name, asked.seconds)
        except UserError as error:
            print(f"{name} is left out: {error}", flush=True)
            continue
        counts = checked.counts
        cells = [str(counts[status]) for status in ("pass", WARN, FAIL, SKIPPED)]
        rows.append(f"| {checked.name} | {' | '.join(cells)} | {checked.seconds:.0f} |")
        failed += counts[FAIL]
        for line in checked.lines:
            text = f"{checked.name}, {line.check}, {line.status}: {line.finding.what}"
            print(f"{text} [{line.finding.evidence}] ({line.seconds:.1f} s)", flush=True)
            if line.status in (WARN, FAIL):
                said.append(f"- {text}")
    print("\n| workload | pass | warn | fail | skipped | seconds |")
    print("| --- | --- | --- | --- | --- | --- |")
    print("\n".join([*rows, "", *said]))
    return min(1, failed)


def _checked(name: str, seconds: float) -> Checked:
    words = [f"workload={name}", f"seconds={seconds:g}", "threads=1", "device=cpu"]
    try:
        return optbench.check(*words)
    except UserError:
        if name not in MADE_UP:
            raise
        return optbench.check(*words, *MADE_UP[name], f"name={name} on made-up images")


if __name__ == "__main__":
    start(main)
