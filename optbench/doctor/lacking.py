"""What a run's folder lacks of what it had, as far as its files tell without being loaded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from optbench.errors import UserError
from optbench.files import BadFile, load_json
from optbench.rundir import RunDir
from optbench.runs.read import Run
from optbench.step_folders import CHECKPOINTS, checkpoint_step


def records_lacking(run: Run, state: str, last: int) -> str:
    """Return which file says less than it did, in a line; empty where none does."""
    if state == "unknown":
        return "status.json is missing or can't be read"
    said, metrics = run.status.get("step"), RunDir(run.path).metrics
    if last or not isinstance(said, int) or said <= 0:
        return ""
    if metrics.exists() and metrics.stat().st_size:  # a run that measures nothing leaves it empty
        return f"metrics.jsonl has no record, where status.json says step {said}"
    return ""


def checkpoints_lacking(run: Run) -> list[str]:
    """Return a line for each checkpoint of which a file is missing, or not as long as it was.

    A file that was changed and is as long as before is found when it is loaded.
    """
    found = []
    for folder in sorted(RunDir(run.path).checkpoints.glob(CHECKPOINTS)):
        step = checkpoint_step(folder.name)
        wrong = _wrong(folder) if step is not None else ""
        if wrong:
            found.append(f"the checkpoint of step {step} is damaged: {wrong}")
    return found


def _wrong(folder: Path) -> str:
    """Return what is wrong with a checkpoint's files; empty where nothing is."""
    try:
        files = load_json(folder / "manifest.json").get("files")
    except (BadFile, UserError, OSError, ValueError):
        return "manifest.json is missing or can't be read"
    if not isinstance(files, Mapping):
        return "manifest.json names no files"
    for name, said in files.items():
        size = said.get("size") if isinstance(said, Mapping) else None
        path = folder / name
        if path.parent != folder or not isinstance(size, int):
            return "manifest.json is not as it was written"
        try:
            there = path.lstat().st_size
        except OSError:
            return f"{name} is missing"
        if there != size:
            return f"{name} has {there:,} bytes of {size:,}"
    return ""
