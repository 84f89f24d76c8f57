"""Ranks that torchrun has begun anew (`--max-restarts`) go on in the folder that they had."""

from __future__ import annotations

import os
from pathlib import Path

from optbench.rundir import PLAN, RunDir


def remember(folder: RunDir) -> RunDir:
    """The folder, of which the same ranks begun anew will know; rank 0 calls it."""
    if "TORCHELASTIC_RUN_ID" in os.environ:
        from optbench.training.notes import remember_folder

        remember_folder(str(folder.path))
    return folder


def begun_before() -> Path | None:
    """The folder of the run or sweep that these ranks were at, None if they are no restarted ones.

    Raises:
        UserError: they are, and torchrun has no store that knows.
    """
    if os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") == "0":
        return None
    from optbench.training.notes import remembered_folder

    found = remembered_folder()
    return Path(found) if found is not None and Path(found).is_dir() else None


def has_begun(folder: Path) -> bool:
    """Whether the folder's run or sweep came as far as saying what it is."""
    return any((folder / name).is_file() for name in ("config.yaml", PLAN))
