"""What functions for programs have in common: they leave the process as they found it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from optbench.compose.texts import check_flag

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


def check_folders(folder: Path | None, config_dir: str | None, name: str = "folder") -> None:
    """Raise UserError for what can be no folder, and for one of configs that is not there.

    Args:
        folder: that is to be made, or written into.
        config_dir: of the user's own configs.
        name: of the first argument, for messages.
    """
    from optbench.rundir import path_of
    from optbench.which_folder import refuse_no_folder

    if folder is not None and (there := path_of(folder, name)).exists():
        refuse_no_folder(there, f"{name}={folder}")
    if config_dir is not None:
        refuse_no_folder(path_of(config_dir, "config_dir"), f"config_dir={config_dir}")


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
