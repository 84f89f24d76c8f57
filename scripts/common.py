"""What all scripts share: a command line with --quick, a prompt end, and optbench in this process.

A script ends with 128 + the number of a SIGTERM, SIGINT or SIGHUP, whatever it is at: temporary
folders are removed and child processes ended on the way out. optbench takes the signals itself
while it trains, and ends that one run then; `optbench` here ends the script with it.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import NoReturn

ENDING = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)

_ended_by: list[int] = []
"""The signals that have come: Python drops what is raised inside a destructor."""


def parser(description: str | None) -> argparse.ArgumentParser:
    """The command line of a script, from its docstring; the script adds what is its own."""
    made = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument(
        "--quick",
        action="store_true",
        help="the same code at tiny sizes, in seconds: tells whether it works, its numbers nothing",
    )
    return made


def start(script: Callable[[], int | None]) -> NoReturn:
    """Runs a script, which returns its exit code, so that signals end it."""
    for number in ENDING:
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # by nohup
            signal.signal(number, _end)
    sys.exit(script())


def _end(number: int, frame: FrameType | None) -> NoReturn:
    _ended_by.append(number)
    raise SystemExit(128 + number)


@dataclass(frozen=True)
class Said:
    """What a command of optbench gave: its exit code, and what it wrote."""

    code: int
    out: str
    err: str


def optbench(words: Sequence[str]) -> Said:
    """`optbench WORDS` in this process.

    Raises:
        SystemExit: a signal ended the run, and so it ends the script.
    """
    from optbench.cli.main import main

    if _ended_by:
        raise SystemExit(128 + _ended_by[0])
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(list(words))
    if code > 128:
        raise SystemExit(code)
    return Said(code, out.getvalue(), err.getvalue())


def succeed(words: Sequence[str]) -> Said:
    """`optbench WORDS`, which has to end well: else what it wrote ends the script."""
    said = optbench(words)
    if said.code:
        raise SystemExit(f"optbench {' '.join(words)}: exit code {said.code}\n{said.err}{said.out}")
    return said
