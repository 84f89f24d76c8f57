"""The names of folders that are of one step: a checkpoint's, and those of samples."""

from __future__ import annotations

import re
from pathlib import Path

CHECKPOINTS = "step-*"
"""A glob of all checkpoints, and of what an interrupted write left: `step-N.tmp`, `step-N.old`."""

SAMPLES = "step-*"
"""A glob of all folders of samples."""

_CHECKPOINT = re.compile(r"step-([0-9]{8}|[1-9][0-9]{8,17})")
_SAMPLE = re.compile(r"step-([0-9]{1,18})")


def checkpoint_folder(checkpoints: Path, step: int) -> Path:
    """Return where a step's checkpoint is, or will be, below `checkpoints`.

    Example:
        >>> checkpoint_folder(Path("checkpoints"), 1000).name
        'step-00001000'
    """
    return checkpoints / f"step-{step:08d}"


def checkpoint_step(name: str) -> int | None:
    """Return the step of a checkpoint's folder; None if no checkpoint is named so."""
    found = _CHECKPOINT.fullmatch(name)
    return int(found[1]) if found else None


def sample_name(step: int) -> str:
    """Return the name of a step's folder below `samples`."""
    return f"step-{step:08d}"


def sample_step(name: str) -> int | None:
    """Return the step of a folder of samples; None if none is named so."""
    found = _SAMPLE.fullmatch(name)
    return int(found[1]) if found else None
