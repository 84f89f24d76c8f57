"""optbench's trainer against a bare loop and other trainers, and what it writes.

Usage: OPTBENCH_DATA=... python scripts/bench/trainer_overhead.py [section ...] [--quick]
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from common import parser, start
from timing import CLOCKS, machine_line


def main() -> None:
    """Runs the sections that are named, all by default."""
    sections = _sections()
    options = _options(list(sections))
    arguments = options.parse_args()
    unknown = [name for name in arguments.section if name not in sections]
    if unknown:
        options.error(f"{unknown[0]}: no such section; choose from {', '.join(sections)}")
    if arguments.quick:
        arguments.rounds, arguments.step_ms = 1, 1.0
    print(machine_line("torch", "optbench", "tensorboard", "accelerate", "lightning"))
    for name in arguments.section or sections:
        sections[name](arguments)


def _sections() -> dict[str, Callable[[Namespace], None]]:
    from sections import checkpoint, ddp, monitoring, scalars, steps

    return {
        "steps": steps.section,
        "monitoring": monitoring.section,
        "scalars": scalars.section,
        "checkpoint": checkpoint.section,
        "ddp": ddp.section,
    }


def _options(sections: list[str]) -> ArgumentParser:
    made = parser(__doc__)
    add = made.add_argument
    add("section", nargs="*", help=f"of {', '.join(sections)}; all by default")
    add("--rounds", type=int, default=10, help="of one epoch, in the section steps")
    add("--clock", choices=CLOCKS, default="cpu", help="of the section steps")
    add("--no-peers", action="store_true", help="steps: optbench and the bare loop only")
    add("--terminal", action="store_true", help="steps: also with the progress bar drawn")
    add("--step-ms", type=float, default=50.0, help="monitoring, ddp: about how long a step takes")
    add("--threads", type=int, default=1, help="of torch, in monitoring")
    return made


if __name__ == "__main__":
    start(main)
