"""Checkpoints on the disk: whole or not there, verified, and only as many as asked for."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from optbench.errors import UserError, reason
from optbench.files import BadFile, dump_json, load_json, naming, reading
from optbench.step_folders import CHECKPOINTS, checkpoint_folder, checkpoint_step
from optbench.training.distributed import World
from optbench.training.serialise import write_hashed
from optbench.training.tensors_file import read_tensors

FORMAT = 2
"""Of what is saved; higher with each change that older checkpoints can't be read after."""

MANIFEST = "manifest.json"
SHARED = "state.pt"


def rank_file(rank: int) -> str:
    """Return the name of a rank's own part."""
    return f"rank-{rank}.pt"


def rows_file(rank: int) -> str:
    """Return the name of the file of a rank's rows; see `row_files.py`."""
    return f"rows-{rank}.pt"


@dataclass(frozen=True)
class Loaded:
    """A verified checkpoint.

    Attributes:
        step: of the run.
        shared: what all ranks have in common.
        own: this rank's part, None if it had none.
        ranks: how many wrote it.
        said: what else the manifest says; see `write_checkpoint`.
    """

    step: int
    shared: dict[str, Any]
    own: dict[str, Any] | None
    ranks: int
    said: Mapping[str, Any] = field(default_factory=dict)


def write_checkpoint(
    folder: Path,
    step: int,
    parts: Mapping[str, memoryview],
    world: World,
    said: Mapping[str, Any] | None = None,
) -> None:
    """Write `folder/step-N`: into `step-N.tmp`, flushed; then the manifest; then the rename.

    Every rank calls this with the files that it has, by name.

    Args:
        folder: of all checkpoints.
        step: of the run.
        parts: the content of this rank's files.
        world: the ranks.
        said: further entries of the manifest: `records`, how long the files of records are;
            `config`, the checksum of config.yaml.
    """
    final = checkpoint_folder(folder, step)
    temporary = final.with_name(final.name + ".tmp")
    if world.is_main:
        folder.mkdir(parents=True, exist_ok=True)
        if temporary.is_file():
            temporary.unlink()
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
    world.barrier()
    try:
        files = {name: write_hashed(data, temporary / name) for name, data in parts.items()}
    except OSError:
        shutil.rmtree(temporary, ignore_errors=True)  # on a full disk it only takes what is left
        raise
    every = world.gather(files)
    if world.is_main:
        listed = {name: entry for part in every for name, entry in sorted(part.items())}
        manifest = {"format": FORMAT, "step": step, "world_size": world.size, "files": listed}
        manifest |= said or {}
        _write_manifest(temporary, manifest)
        old = final.with_name(final.name + ".old")
        shutil.rmtree(old, ignore_errors=True)
        if final.exists():  # saved again: with the step's score, or after a resume
            os.rename(final, old)
        os.rename(temporary, final)
        sync_folder(folder)
        shutil.rmtree(old, ignore_errors=True)
    world.barrier()


def _write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    path = folder / MANIFEST
    with naming(path), path.open("w", encoding="utf-8") as file:
        file.write(dump_json({**manifest, "sha256": checksum(manifest)}))
        file.flush()
        os.fsync(file.fileno())
    sync_folder(folder)


def checksum(manifest: Mapping[str, Any]) -> str:
    """Return the checksum of all that a manifest says, in an order of its own."""
    text = json.dumps({k: v for k, v in manifest.items() if k != "sha256"}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def sync_folder(folder: Path) -> None:
    """Bring a folder's list of names to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def steps(folder: Path) -> list[int]:
    """Return the steps that have a checkpoint, verified or not, ascending."""
    return [step for step, is_folder in _named(folder) if is_folder]


def _named(folder: Path) -> list[tuple[int, bool]]:
    """Return the steps that something in the folder is named after, and whether it is a folder."""
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        found = [(checkpoint_step(e.name), e.is_dir(follow_symlinks=False)) for e in entries]
    return sorted((step, is_folder) for step, is_folder in found if step is not None)


def prune(folder: Path, keep_last: int, best: int | None) -> None:
    """Delete all but the last `keep_last` checkpoints (at least two) and the best one.

    What an interrupted write left behind goes too.
    """
    names = os.listdir(folder) if folder.is_dir() else []
    if any(name.endswith((".tmp", ".old")) for name in names):
        for left in [*folder.glob(f"{CHECKPOINTS}.tmp"), *folder.glob(f"{CHECKPOINTS}.old")]:
            shutil.rmtree(left, ignore_errors=True)
    present = steps(folder)
    kept = {*present[-max(2, keep_last) :], best}
    for step in present:
        if step not in kept:
            shutil.rmtree(checkpoint_folder(folder, step), ignore_errors=True)


def put_aside_after(folder: Path, step: int) -> None:
    """Rename the checkpoints after a step, which are damaged: else the run would go on there."""
    for later, _ in _named(folder):
        if later > step:
            damaged = checkpoint_folder(folder, later)
            names = (f"{damaged.name}.damaged{n}" for n in ("", *map("-{}".format, range(2, 1000))))
            os.rename(damaged, next(p for p in map(folder.joinpath, names) if not p.exists()))


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return a checkpoint's manifest.

    Raises:
        BadFile: it is damaged, or of another folder.
        OSError: it is not there or can't be read.
    """
    path = folder / MANIFEST
    manifest = load_json(path)
    older = set(manifest) == {"step", "world_size", "files"}  # before there were formats
    if not older and manifest.get("sha256") != checksum(manifest):
        raise BadFile(f"{path}: it does not have its own checksum")
    ranks, files = manifest.get("world_size"), manifest.get("files")
    unlisted = BadFile(f"{path}: it does not list the files of its ranks")
    if not isinstance(ranks, int) or not isinstance(files, dict):
        raise unlisted
    if len(files) not in (ranks + 1, 2 * ranks + 1):
        raise unlisted
    expected = {SHARED, *map(rank_file, range(ranks))}
    if len(files) > len(expected):
        expected |= set(map(rows_file, range(ranks)))
    step = manifest.get("step")
    if set(files) != expected or type(step) is not int or checkpoint_step(folder.name) != step:
        raise BadFile(f"{path}: it does not fit its folder")
    return manifest


def damage(folder: Path) -> str | None:
    """Return what is wrong with a checkpoint, None if every file is as the manifest says.

    Raises:
        OSError: a file is there and can't be read, of which nothing follows for what is in it.
    """
    try:
        for name, entry in read_manifest(folder)["files"].items():
            path = folder / name
            with naming(path), reading(path) as file:
                size = os.fstat(file.fileno()).st_size
                if size != entry["size"]:
                    return f"{name} has {size} bytes instead of {entry['size']}"
                if hashlib.file_digest(file, "sha256").hexdigest() != entry["sha256"]:
                    return f"{name} does not have the checksum of the manifest"
    except FileNotFoundError as error:
        return f"{Path(str(error.filename)).name} is missing"
    except BadFile as error:
        return str(error).removeprefix(f"{folder}{os.sep}")
    except (KeyError, TypeError):
        return "its manifest can't be read"
    return None


def newest_verified(folder: Path, warn: Callable[[str], None]) -> int | None:
    """Return the newest step whose checkpoint is whole; None if there never was one.

    Damaged ones are passed over with one warning.

    Raises:
        UserError: there are checkpoints, but all are damaged, or one can't be read.
    """
    for old in folder.glob(f"{CHECKPOINTS}.old"):  # a kill came between two renames
        if not old.with_suffix("").exists():
            os.rename(old, old.with_suffix(""))
    problems: list[str] = []
    for step, is_folder in reversed(_named(folder)):
        path = checkpoint_folder(folder, step)
        try:
            problem = damage(path) if is_folder else "not a folder"
        except OSError as error:
            raise UserError(f"{reason(error)}; nothing was changed") from None
        if problem is None:
            if problems:
                warn(f"damaged: {'; '.join(problems)}; going on from step {step} instead")
            return step
        problems.append(f"checkpoint {path.name}: {problem}")
    if problems:
        raise UserError(f"{folder}: no checkpoint is whole: {'; '.join(problems)}")
    return None


def whole(tensor: Tensor) -> Tensor:
    """Return memory on the CPU for all of a tensor that a checkpoint has in rows."""
    return torch.empty(tensor.shape, dtype=tensor.dtype)


def read_checkpoint(
    folder: Path, step: int, world: World, room: Callable[[Tensor], Tensor] = whole
) -> Loaded:
    """Read a verified checkpoint.

    Args:
        folder: of all checkpoints.
        step: of the run.
        world: the ranks, of which this one reads its part.
        room: gives memory for what this rank needs of a tensor that is there in rows.
    """
    path = checkpoint_folder(folder, step)
    own = path / rank_file(world.rank)
    manifest = read_manifest(path)
    part = read_tensors(own) if own.exists() else None
    return Loaded(step, _shared(path, manifest, room), part, manifest["world_size"], manifest)


def _shared(
    path: Path, manifest: Mapping[str, Any], room: Callable[[Tensor], Tensor] = whole
) -> dict[str, Any]:
    """Return what all ranks have in common, with the tensors that lie in the ranks' rows."""
    shared = read_tensors(path / SHARED)
    if rows_file(0) not in manifest["files"]:
        return shared
    from optbench.training.row_files import filled  # torch's part for it takes time to import

    found: dict[str, Any] = filled(shared, path, manifest["world_size"], room)
    return found


def read_players(folder: Path, step: int) -> dict[str, Any]:
    """Return what a checkpoint says of each player, by name, on the CPU.

    Raises:
        UserError: there is none of this step, it is damaged, or of another version of optbench.
        OSError: a file is there and can't be read.
    """
    path = checkpoint_folder(folder, step)
    if step not in steps(folder):
        raise UserError(f"{path}: no such checkpoint")
    problem = damage(path)
    if problem is not None:
        raise UserError(f"{path}: {problem}")
    manifest = read_manifest(path)
    if manifest.get("format") != FORMAT:
        raise UserError(f"{path}: of another version of optbench, which has to read it")
    players = _shared(path, manifest).get("players")
    if not isinstance(players, dict):
        raise BadFile(f"{path / SHARED}: it has no players")
    return players
