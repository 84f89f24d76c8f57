"""What functions for programs have in common: they leave the process as they found it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from optbench.compose.texts import check_flag
from optbench.errors import UserError

if TYPE_CHECKING:
    from optbench.compose.composer import Composer
    from optbench.runs.log import Log
    from optbench.runs.result import RunResult

Path = str | os.PathLike[str]


@contextmanager
def composer_of(config_dir: str | None) -> Iterator[Composer]:
    """Yield a composer, whose errors are told as a program needs them."""
    from optbench.compose.composer import SeveralValues, hydra_session

    check_folders(None, config_dir)
    try:
        with hydra_session(config_dir) as composer:
            yield composer
    except SeveralValues as error:
        raise error.needing("optbench.sweep") from None


def check_folders(folder: Path | None, config_dir: str | None) -> None:
    """Raise UserError for what is no path, and for a folder of configs that is not there."""
    from optbench.rundir import path_of

    if folder is not None:
        path_of(folder, "folder")
    if config_dir is not None and not path_of(config_dir, "config_dir").is_dir():
        raise UserError(f"config_dir={config_dir}: no such folder")


@contextmanager
def of_a_library(quiet: bool) -> Iterator[tuple[Log, list[RunResult]]]:
    """Yield a log and a list to put results in; leave the process as it was found.

    A signal that ended a run is raised once more, for whoever had it before.
    """
    from optbench.runs.log import Log
    from optbench.runs.process import left_as_found

    check_flag("quiet", quiet)
    results: list[RunResult] = []
    with left_as_found():
        yield Log(tells=not quiet), results
    for code in [result.exit_code for result in results if result.exit_code > 128][:1]:
        signal.raise_signal(code - 128)
