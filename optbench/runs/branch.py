"""A run that is gone on with from an earlier checkpoint, in a folder of its own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from optbench.console import shown
from optbench.errors import UserError
from optbench.files import BadFile, naming, read_text, reading
from optbench.launched import launched_ranks
from optbench.rundir import RunDir, path_of
from optbench.runs.log import Log, say_taken
from optbench.runs.resume import CHANGED, Continuation
from optbench.step_folders import SAMPLES, checkpoint_folder, sample_step


@contextmanager
def branch(
    going: Continuation, at: str | int, to: str | os.PathLike[str] | None, log: Log
) -> Iterator[Continuation]:
    """Copy a run as it was at a checkpoint, to go on with; the run itself stays as it is.

    A copy that can't be gone on with is removed again.

    Args:
        going: how the run would go on.
        at: `best`, `last`, or the step of a checkpoint.
        to: the new folder; `FOLDER-2` if it is there. Default: RUN-step-N, beside the run.
        log: is told.

    Raises:
        UserError: no such checkpoint, a damaged one, or no folder can be made there.
    """
    from optbench.runs.weights import step_of
    from optbench.training import checkpoint

    if launched_ranks() > 1:
        raise UserError("--at: in one process, without torchrun")
    old = going.folder
    step = step_of(old, at, "--at ")
    damaged = checkpoint.damage(checkpoint_folder(old.checkpoints, step))
    if damaged is not None:
        raise UserError(f"{checkpoint_folder(old.checkpoints, step)}: {damaged}")
    wanted = path_of(to).absolute() if to else old.path.with_name(f"{old.path.name}-step-{step}")
    if wanted.resolve().is_relative_to(old.path.resolve()):
        raise UserError(f"--to={to}: inside of the run, which stays as it is")
    made = [path for path in wanted.parents if not path.exists()]
    new = RunDir.reserve(wanted, "--to")
    begun = False
    try:
        _copy_run(old, new, step)
        status = {"checkpoint": step, "config": going.seals}
        new.write_status("preempted", step, f"a branch of {old.path.name}", **status)
        log.open(new.log)
        say_taken(wanted, new.path, log)
        log.say(f"a branch of {shown(old.path)} at step {step}")
        for line in _changes(old):
            log.note(line)
        log.close()
        begun = True
        yield replace(going, folder=new, spec=replace(going.spec, folder=str(new.path)))
    except BaseException as error:
        log.close()
        # Until it has run, nothing is in the folder but what is in the old one.
        if not begun or (isinstance(error, UserError) and new.state == "preempted"):
            shutil.rmtree(new.path, ignore_errors=True)
            for path in made:
                with suppress(OSError):
                    path.rmdir()
        raise


def _changes(old: RunDir) -> list[str]:
    """Return what the log says of changes by resumes: the branch has the config after them."""
    try:
        lines = read_text(old.log).splitlines()
    except (OSError, BadFile):
        return []
    said = [line.partition(" ")[2] for line in lines]
    return [line for line in said if line.startswith(CHANGED)]


def _copy_run(old: RunDir, new: RunDir, step: int) -> None:
    """Copy what a run has at a checkpoint; its records are cut when it goes on."""
    from optbench.monitor.record_files import positions_of
    from optbench.training import checkpoint

    at = checkpoint_folder(old.checkpoints, step)
    manifest = checkpoint.read_manifest(at)
    within = at.relative_to(old.path)
    names = [str(within / name) for name in (*manifest["files"], checkpoint.MANIFEST)]
    names += ["config.yaml", "overrides.yaml", "env.json", *positions_of(manifest)]
    for name in names:
        if os.path.lexists(old.path / name):
            _copy(old.path / name, new.path / name)
    for samples in sorted(old.samples.glob(SAMPLES)):
        found = sample_step(samples.name)
        if found is not None and found <= step and samples.is_dir():
            for path in samples.iterdir():
                _copy(path, new.samples / samples.name / path.name)


def _copy(source: Path, target: Path) -> None:
    """Copy a regular file, without following links."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with naming(source), reading(source) as file, target.open("xb") as copied:
        shutil.copyfileobj(file, copied)
