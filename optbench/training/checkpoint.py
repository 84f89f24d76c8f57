"""Checkpoints on the disk: whole or not there, verified, and only as many as asked for."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from optbench.errors import UserError
from optbench.training.distributed import World
from optbench.training.serialise import write_hashed

_FOLDER = re.compile(r"^step-(\d{8,})$")
MANIFEST = "manifest.json"
SHARED = "state.pt"


def rank_file(rank: int) -> str:
    """The name of a rank's own part."""
    return f"rank-{rank}.pt"


@dataclass(frozen=True)
class Loaded:
    """A verified checkpoint: what all ranks share, and this rank's own (None if it has none);
    `ranks`: how many wrote it."""

    step: int
    shared: dict[str, Any]
    own: dict[str, Any] | None
    ranks: int


def write_checkpoint(
    folder: Path, step: int, parts: Mapping[str, memoryview], world: World
) -> None:
    """Writes `folder/step-N`: into `step-N.tmp`, flushed; then the manifest; then the rename.

    Every rank calls this with the files that it has, by name.
    """
    final = folder / f"step-{step:08d}"
    temporary = final.with_name(final.name + ".tmp")
    if world.is_main:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
    world.barrier()
    files = {name: write_hashed(data, temporary / name) for name, data in parts.items()}
    every = world.gather(files)
    if world.is_main:
        listed = {name: entry for part in every for name, entry in sorted(part.items())}
        _write_manifest(temporary, {"step": step, "world_size": world.size, "files": listed})
        old = final.with_name(final.name + ".old")
        shutil.rmtree(old, ignore_errors=True)
        if final.exists():  # saved again: with the step's score, or after a resume
            os.rename(final, old)
        os.rename(temporary, final)
        sync_folder(folder)
        shutil.rmtree(old, ignore_errors=True)
    world.barrier()


def _write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    with (folder / MANIFEST).open("w", encoding="utf-8") as file:
        json.dump(manifest, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    sync_folder(folder)


def sync_folder(folder: Path) -> None:
    """Brings a folder's list of names to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def steps(folder: Path) -> list[int]:
    """The steps that have a checkpoint, verified or not, ascending."""
    if not folder.is_dir():
        return []
    found = [_FOLDER.match(path.name) for path in folder.iterdir()]
    return sorted(int(match[1]) for match in found if match)


def prune(folder: Path, keep_last: int, best: int | None) -> None:
    """Deletes all but the last `keep_last` checkpoints (at least two) and the best one.

    What an interrupted write left behind goes too.
    """
    for left in [*folder.glob("step-*.tmp"), *folder.glob("step-*.old")]:
        shutil.rmtree(left, ignore_errors=True)
    present = steps(folder)
    kept = {*present[-max(2, keep_last) :], best}
    for step in present:
        if step not in kept:
            shutil.rmtree(folder / f"step-{step:08d}", ignore_errors=True)


def forget_after(folder: Path, step: int) -> None:
    """Deletes the checkpoints after a step, which are damaged: else the run would go on there."""
    for later in steps(folder):
        if later > step:
            shutil.rmtree(folder / f"step-{later:08d}", ignore_errors=True)


def damage(folder: Path) -> str | None:
    """What is wrong with a checkpoint, None if every file is as the manifest says."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        files = manifest["files"]
        for name, entry in files.items():
            path = folder / name
            if path.stat().st_size != entry["size"]:
                return f"{name} has {path.stat().st_size} bytes instead of {entry['size']}"
            with path.open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != entry["sha256"]:
                    return f"{name} does not have the checksum of the manifest"
        expected = {SHARED, *(rank_file(rank) for rank in range(manifest["world_size"]))}
        if set(files) != expected or f"step-{manifest['step']:08d}" != folder.name:
            return "its manifest does not fit its folder"
    except OSError as error:
        return f"{Path(str(error.filename)).name} can't be read"
    except (ValueError, KeyError, TypeError, AttributeError):
        return "its manifest can't be read"
    return None


def newest_verified(folder: Path, warn: Callable[[str], None]) -> int | None:
    """The newest step whose checkpoint is whole; None if there never was one.

    Damaged ones are passed over with one warning.

    Raises:
        UserError: there are checkpoints, but all are damaged.
    """
    for old in folder.glob("step-*.old"):  # a kill came between two renames
        if not old.with_suffix("").exists():
            os.rename(old, old.with_suffix(""))
    problems: list[str] = []
    for step in reversed(steps(folder)):
        problem = damage(folder / f"step-{step:08d}")
        if problem is None:
            if problems:
                warn(f"damaged: {'; '.join(problems)}; going on from step {step} instead")
            return step
        problems.append(f"checkpoint step-{step:08d}: {problem}")
    if problems:
        raise UserError(f"{folder}: no checkpoint is whole: {'; '.join(problems)}")
    return None


def read_checkpoint(folder: Path, step: int, world: World) -> Loaded:
    """Reads a verified checkpoint onto the CPU."""
    path = folder / f"step-{step:08d}"
    own = path / rank_file(world.rank)
    ranks = json.loads((path / MANIFEST).read_text(encoding="utf-8"))["world_size"]
    return Loaded(step, _read(path / SHARED), _read(own) if own.exists() else None, ranks)


def _read(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return loaded
