"""Which runs there are below some folders."""

from __future__ import annotations

import glob
import os
import re
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from optbench.compose.paths import configs_folder
from optbench.errors import UserError, reason
from optbench.escape import shell_word
from optbench.rundir import RunDir, path_of
from optbench.runs.filters import is_key
from optbench.runs.read import Run
from optbench.runs.result import RunResult
from optbench.which_folder import nearest_folder, refuse_no_folder
from optbench.which_run import of_meta

DEEPEST = 8
"""Folders in folders that are looked into; `runs/sweeps/DATE/TIME/NUMBER` is five deep."""
MOST_FOLDERS = 100_000
"""That are looked into below one path."""


def open_run(path: str | os.PathLike[str] | RunResult | Run) -> Run:
    """Open a run to be read.

    Args:
        path: its folder, or what `train` gave.

    Raises:
        UserError: no run is there, or its config can't be read.

    Example:
        >>> run = optbench.open_run("runs/first")
        >>> run.state
        'finished'
    """
    if isinstance(path, RunResult):
        return path.run
    if isinstance(path, Run):
        return path
    run = Run(RunDir.existing(path, "").path)
    run.config  # noqa: B018  (which is looked at)
    return run


def find_runs(*paths: str | os.PathLike[str]) -> list[Run]:
    """Find the runs at and below some folders: of a run, a sweep, a folder of runs.

    Links below a path, hidden folders, and what is inside of a run, are not looked into.

    Args:
        paths: folders; default `runs`, if there is such a folder.

    Returns:
        The runs, in the order of the paths and below each of names, `2` before `10`; each once.

    Raises:
        UserError: a path that is no folder, or with more folders below it than can be searched.

    Example:
        >>> [run.path.name for run in optbench.find_runs("runs")]
        ['first']
    """
    if not paths:
        paths = ("runs",) if Path("runs").is_dir() else ()
    found: dict[Path, Run] = {}
    for path in paths:
        folder = path_of(path)
        if not str(path):
            raise UserError("which folder? none is named")
        refuse_no_folder(folder, str(path), _hint)
        for each in _runs_below(folder.absolute()):
            found.setdefault(each, Run(each))
    return list(found.values())


def without_runs(paths: Sequence[str | os.PathLike[str]], found: Sequence[Run]) -> list[str]:
    """Return a line for each path at and below which none of the runs is that were found there."""
    return [
        f"{path}: no run is there"
        for path in paths
        if not any(run.path.is_relative_to(path_of(path).absolute()) for run in found)
    ]


def of_no_run(paths: Sequence[str | os.PathLike[str]]) -> str:
    """Return what the one folder is below which no run was found; empty for another or several."""
    meta = of_meta(Path(paths[0])) if len(paths) == 1 else ""
    return f"; {meta}" if meta else ""


def _hint(folder: Path) -> str:
    """Return what may have been meant by a folder that is not there."""
    text = str(folder)
    if any(letter in text for letter in "*?["):
        return "; what * and ? stand for is found by the shell, where they are not quoted"
    near = nearest_folder(folder)
    if "=" in text and not near and os.sep not in text:
        listed = f"; optbench runs {shell_word(text)} lists which have it"
        return f"; folders are named here, no filters{listed * is_key(text.partition('=')[0])}"
    if near or os.sep in text:
        return near
    choices = any(configs_folder().glob(f"*/{glob.escape(text)}.yaml"))
    return "; folders of runs are named, no choices or arms" if choices else ""


def _runs_below(top: Path) -> Iterator[Path]:
    """Yield the run folders, depth first."""
    left = MOST_FOLDERS
    to_do = [(top, 0)]
    while to_do:
        folder, depth = to_do.pop()
        left -= 1
        if left < 0:
            raise UserError(f"{top}: more than {MOST_FOLDERS:,} folders; name one of them")
        if _is_run(folder):
            yield folder
        elif depth < DEEPEST:
            inside = sorted(_folders_in(folder, required=not depth), key=_natural, reverse=True)
            to_do += [(child, depth + 1) for child in inside]


def _is_run(folder: Path) -> bool:
    """Return whether a folder has a config, and what no folder of configs has."""
    others = ("status.json", "overrides.yaml", "metrics.jsonl")
    return _is_file(folder / "config.yaml") and any(_is_file(folder / name) for name in others)


def _is_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:
        return False


def _folders_in(folder: Path, required: bool) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return [
                Path(entry.path)
                for entry in entries
                if entry.is_dir(follow_symlinks=False) and not entry.name.startswith(".")
            ]
    except PermissionError as error:
        if required:
            raise UserError(f"{folder}: it can't be read (permission denied)") from error
        return []
    except OSError as error:
        raise UserError(reason(error)) from None


def _natural(path: Path) -> list[tuple[int, str]]:
    """Return a key to sort by, in which numbers in a name count by their value."""
    parts = re.split(r"(\d+)", path.name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
