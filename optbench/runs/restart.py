"""Ranks that torchrun has begun anew (`--max-restarts`) go on in the folder that they had."""

from __future__ import annotations

import os
from pathlib import Path

from optbench.rundir import PLAN, RunDir


def remember(folder: RunDir) -> RunDir:
    """Return the folder, which the same ranks will know when begun anew; rank 0 calls it."""
    if "TORCHELASTIC_RUN_ID" in os.environ:
        from optbench.training.notes import remember_folder

        remember_folder(str(folder.path))
    return folder


def begun_before() -> Path | None:
    """Return the folder of the run or sweep that restarted ranks were at, else None.

    Raises:
        UserError: they are, and torchrun has no store that knows.
    """
    if os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") == "0":
        return None
    from optbench.training.notes import remembered_folder

    found = remembered_folder()
    return Path(found) if found is not None and Path(found).is_dir() else None


def has_begun(folder: Path) -> bool:
    """Return whether the folder's run or sweep came as far as saying what it is."""
    return any((folder / name).is_file() for name in ("config.yaml", PLAN))
