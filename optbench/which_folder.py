"""A folder that has to be there: what is said of one that is not."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from optbench.errors import UserError
from optbench.escape import shell_word
from optbench.files import kind


def refuse_no_folder(folder: Path, said: str, hint: Callable[[Path], str] | None = None) -> None:
    """Raise UserError unless a folder is there.

    Args:
        folder: as it was typed, with the home folder in place of `~`.
        said: what it was said with, for messages, such as `--config-dir=mine`.
        hint: says what may have been meant; by default by `nearest_folder`.
    """
    if folder.is_dir():
        return
    if os.path.lexists(folder):
        raise UserError(f"{said}: {kind(os.lstat(folder).st_mode)}, where a folder is meant")
    raise UserError(f"{said}: no such folder{(hint or nearest_folder)(folder)}")


def nearest_folder(folder: Path, wanted: Callable[[Path], bool] = Path.is_dir) -> str:
    """Return a hint for a folder that is not there: the one beside it of nearly its name.

    Args:
        folder: as it was typed; so is the other.
        wanted: whether another would do.
    """
    from optbench.config.suggest import nearest

    try:
        beside = [path.name for path in folder.parent.iterdir() if wanted(path)]
    except OSError:  # no folder either, or one that nobody may look into
        return ""
    match = nearest(folder.name, beside)
    return f"; did you mean {shell_word(str(folder.parent / match))}?" if match else ""
