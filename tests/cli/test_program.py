"""optbench.__main__: the process around the command line."""

from __future__ import annotations

import subprocess
import sys

INTERRUPTED_AT_ITS_END = """
import atexit, os, signal, sys
import optbench.cli.main as line
from optbench.__main__ import main

atexit.register(os.kill, os.getpid(), signal.SIGINT)
line.main = lambda: 130
signal.signal(signal.SIGINT, signal.default_int_handler)  # as in a terminal
main()
"""


def test_an_interrupt_as_the_program_exits_changes_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_AT_ITS_END], capture_output=True, encoding="utf-8"
    )
    assert (done.returncode, done.stderr) == (130, "")
