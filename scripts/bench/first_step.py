"""`optbench train` that ends, without more ado, when its first step is taken.

Usage: python scripts/bench/first_step.py [--quick] [overrides ...]
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from common import parser, start
from optbench.cli.main import main as optbench
from optbench.monitor.record import Recorder


def main() -> int:
    """The exit code of a training that did not come as far."""
    given, overrides = parser(__doc__).parse_known_args()
    folder = tempfile.mkdtemp() if given.quick else None
    if folder:
        overrides = ["threads=1", f"hydra.run.dir={folder}/run", *overrides]

    def stop(recorder: Recorder, step: int) -> None:
        """Instead of what the recorder does after a step."""
        if folder:
            shutil.rmtree(folder)
        os._exit(0)

    Recorder.tick = stop  # type: ignore[assignment, method-assign]
    try:
        return optbench(["train", *overrides])
    finally:
        if folder:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    start(main)
