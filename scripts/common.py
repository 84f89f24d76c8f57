"""What all scripts share: a command line with --quick, a prompt end, and runs of optbench.

A script ends with 128 + the number of a SIGTERM, SIGINT or SIGHUP, whatever it is at: temporary
folders are removed and child processes ended on the way out, and what other code makes of the
exception on its way (another error, or nothing) changes neither. optbench takes the signals itself
while it trains, ends that one run, and then hands the signal on, which ends the script.
"""

from __future__ import annotations

import argparse
import os
import platform
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import NoReturn

import optbench
from optbench import Callback, Run, RunResult
from optbench.processor import processor

ENDING = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)

EVERY = 0.25
"""Seconds after which an exception that went nowhere is raised once more."""

_ended_by: list[int] = []
"""The signals that have come."""


class Ended(KeyboardInterrupt):
    """A signal came. No SystemExit: that is taken for a model's or a data set's own `exit()`."""


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
    tempfile.gettempdir()  # writes a file to try the folder, which a signal would leave there
    for number in ENDING:
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # by nohup
            signal.signal(number, _end)
    signal.signal(signal.SIGALRM, _end_still)
    try:
        code = script()
    except BaseException:
        _end_if_told()
        raise
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    _end_if_told()
    sys.exit(code)


def _end(number: int, frame: FrameType | None) -> NoReturn:
    _ended_by.append(number)
    signal.setitimer(signal.ITIMER_REAL, EVERY, EVERY)
    raise Ended


def _end_still(number: int, frame: FrameType | None) -> None:
    """Raise it again where it was dropped, by Python in a destructor or by others' code in C."""
    if not _is_ending(sys.exc_info()[1]):
        raise Ended


def _is_ending(handled: BaseException | None) -> bool:
    """Whether what is being cleaned up after is the end, or what others made of it."""
    while handled is not None and not isinstance(handled, Ended):
        handled = handled.__context__
    return handled is not None


def train(
    *overrides: str, folder: Path | None = None, callbacks: Sequence[Callback] = ()
) -> RunResult:
    """`optbench.train`.

    Raises:
        SystemExit: a signal ended the run, and so it ends the script.
    """
    _end_if_told()
    return optbench.train(*overrides, folder=folder, callbacks=callbacks)


def sweep(*overrides: str, folder: Path | None = None) -> list[RunResult]:
    """`optbench.sweep`, which a signal ends with the script, as it does `train`."""
    _end_if_told()
    return optbench.sweep(*overrides, folder=folder)


def succeeded(*results: RunResult) -> list[Run]:
    """The runs of some results, which have to have finished: else the script ends."""
    for result in results:
        if result.state != "finished":
            raise SystemExit(f"{result.folder.path}: {result.state}: {result.message}")
    return [result.run for result in results]


def _end_if_told() -> None:
    if _ended_by:
        raise SystemExit(128 + _ended_by[0]) from None


def machine_line() -> str:
    """Versions and processor."""
    return (
        f"Python {platform.python_version()}, torch {version('torch').partition('+')[0]}, "
        f"one thread; {os.cpu_count()} cores of {processor()}"
    )
