"""What must not stand in a folder that is written to: it would be followed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from optbench.errors import UserError
from optbench.files import kind

MOST_ENTRIES = 200_000


def inspect(path: Path, files: Iterable[str], folders: Iterable[str], links: bool) -> None:
    """Look for links, pipes and devices in a run's folder.

    Args:
        path: the folder.
        files: names of those in it; each may have a `.tmp` beside it.
        folders: names of those in it, which are looked through.
        links: whether these may be links to other folders.

    Raises:
        UserError: a link, a pipe, a device, or a folder and a file in each other's place.
    """
    for name in files:
        for each in (path / name, path / f"{name}.tmp"):
            mode = _mode(each)
            if mode is not None and not stat.S_ISREG(mode):
                raise UserError(f"{each}: {kind(mode)}, where a file is meant")
    for name in folders:
        each = path / name
        mode = _mode(each)
        if mode is None:
            continue
        if stat.S_ISLNK(mode) and links:
            if not each.is_dir():
                raise UserError(f"{each}: a link to {os.readlink(each)}, which is not there")
        elif not stat.S_ISDIR(mode):
            raise UserError(f"{each}: {kind(mode)}, where a folder is meant")
        _inspect_within(each)


def refuse_unreadable(folder: Path, files: Iterable[str], said: str) -> None:
    """Raise UserError for a folder, or one above it, that this user may not look into.

    Args:
        files: names that may stand in it.
        said: how the folder was named, for messages.
    """
    try:
        for name in files:
            with suppress(FileNotFoundError, NotADirectoryError):
                os.lstat(folder / name)
    except PermissionError:
        raise UserError(f"{said}: it can't be read (permission denied)") from None


def _mode(path: Path) -> int | None:
    try:
        return os.lstat(path).st_mode
    except FileNotFoundError:
        return None


def _inspect_within(folder: Path) -> None:
    to_do, left = [folder], MOST_ENTRIES
    while to_do:
        with os.scandir(to_do.pop()) as entries:
            for entry in entries:
                left -= 1
                mode = entry.stat(follow_symlinks=False).st_mode
                if stat.S_ISDIR(mode) and "tfevents" not in entry.name:
                    to_do.append(Path(entry.path))
                elif not stat.S_ISREG(mode):
                    raise UserError(f"{entry.path}: {kind(mode)}, where a file is meant")
                if left < 0:
                    raise UserError(f"{folder}: more than {MOST_ENTRIES:,} files")
