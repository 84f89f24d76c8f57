"""Runs on test functions, as their folders tell of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from optbench.config.flow import flow
from optbench.config.reserved import OF_THE_FILE
from optbench.console import print_error
from optbench.errors import UserError
from optbench.rundir import RunDir
from optbench.runs.find import find_runs
from optbench.runs.read import Run
from optbench.runs.saved import read_saved
from optbench.which_run import not_a_run

TASK = "optbench.tasks.function.Function"


@dataclass(frozen=True)
class FunctionRun:
    """One run on a test function.

    Attributes:
        folder: the run's.
        config: what was run.
        choices: the file that each group chose.
        steps: of the evaluations, ascending.
        gaps: value less minimum at these.
        points: where the optimizer was at these, in two dimensions; None in any others.
        diverged: whether it ended so.
    """

    folder: Path
    config: Mapping[str, Any]
    choices: Mapping[str, str]
    steps: list[int]
    gaps: list[float]
    points: list[tuple[float, float]] | None
    diverged: bool = False

    @property
    def function(self) -> str:
        """Its name and, if it has not two, its dimensions."""
        name, dim = self.choices.get("model", "a function"), self.config["model"].get("dim")
        return name if dim == 2 else f"{name}, {dim} dimensions"

    def setting(self, key: str) -> Any:
        """Return the value of a dotted key of the config."""
        node: Any = self.config
        for part in key.split("."):
            node = node.get(part) if isinstance(node, Mapping) else None
        return node


def read_all(paths: Sequence[str]) -> list[FunctionRun]:
    """Read all runs, those of a sweep's folder one after the other.

    Raises:
        UserError: a folder that is no run, a run on something else, runs on several functions.
    """
    runs = [_read_plain(run) for path in paths for run in _runs(path)]
    for run in runs[1:]:
        if _same(run) != _same(runs[0]):
            what = f"{run.folder} is of {run.function}, {runs[0].folder} of {runs[0].function}"
            if run.function == runs[0].function:
                what += " with other settings"
            raise UserError(f"draw: {what}; one function to a picture")
    return runs


def named(runs: Sequence[FunctionRun]) -> list[str]:
    """Return a name for each run: its optimizer, lr, and whatever else differs among them."""
    keys = ["optimizer.lr", *(f"optimizer.{key}" for key in _changing(runs)), "batch_size", "seed"]
    names = []
    for run in runs:
        name = run.choices.get("optimizer", str(run.setting("optimizer._target_")))
        alike = [other for other in runs if other.choices.get("optimizer") == name]
        for key in keys:
            value = run.setting(key)
            differs = any(other.setting(key) != value for other in alike)
            if value is not None and (key == "optimizer.lr" or differs):
                name += (
                    f" {key.rpartition('.')[2]}={value:g}"
                    if _is_number(value)
                    else (f" {key.rpartition('.')[2]}={flow(value)}")
                )
        names.append(name)
    return [
        name if names.count(name) == 1 else f"{name} ({run.folder.name})"
        for name, run in zip(names, runs, strict=True)
    ]


def _changing(runs: Sequence[FunctionRun]) -> list[str]:
    """Return the optimizer's own keys but lr, in the order of their first appearance."""
    keys = [key for run in runs for key in run.config["optimizer"] if not key.startswith("_")]
    left_out = ("lr", "implementation", "groups", *OF_THE_FILE)
    return [key for key in dict.fromkeys(keys) if key not in left_out]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _runs(path: str) -> list[Run]:
    """Return a run, or those of a sweep; raise UserError for anything else."""
    instead = partial(not_a_run, wanted=_on_function, what="run on a test function")
    found = find_runs(RunDir.existing(path, "", sweep=True, instead=instead).path)
    if not found:
        raise UserError(f"{path}: none of its runs has begun")
    return found


def _on_function(folder: Path) -> bool:
    try:
        task = Run(folder).config.get("task")
    except UserError:
        return False
    return isinstance(task, Mapping) and task.get("_target_") == TASK


def _read_plain(run: Run) -> FunctionRun:
    """Read a run; raise UserError for what no run has in its files; warn of what is lost."""
    folder = run.path
    try:
        found = _read(run)
    except (TypeError, ValueError, KeyError, AttributeError, IndexError, OverflowError) as error:
        why = " ".join(f"{type(error).__name__}: {error}".split())
        raise UserError(f"{folder}: its files do not make a run ({why})") from error
    for line in RunDir(folder).unreadable():
        print_error(f"warning: {folder}: {line}")
    return found


def _read(run: Run) -> FunctionRun:
    folder, choices = run.path, run.choices
    config = read_saved(RunDir(folder), to_write=False).plain  # its function is built
    for group in ("model", "optimizer"):
        if not isinstance(config.get(group), Mapping):
            raise UserError(f"{folder}: its config has no {group}")
    if (config.get("task") or {}).get("_target_") != TASK:
        trained = choices.get("model", "something else")
        raise UserError(f"{folder}: a run of {trained}, no test function; see optbench list model")
    records = [record for record in run.records() if "val/loss_gap" in record]
    if not records:
        raise UserError(f"{folder}: nothing was evaluated; train with eval.every=1")
    records = list({record["step"]: record for record in records}.values())
    points = None
    if "val/x1" in records[0]:
        points = [(float(record["val/x0"]), float(record["val/x1"])) for record in records]
    return FunctionRun(
        folder,
        config,
        choices,
        [int(record["step"]) for record in records],
        [float(record["val/loss_gap"]) for record in records],
        points,
        run.state == "diverged",
    )


def _same(run: FunctionRun) -> dict[str, Any]:
    """Return what two runs on one function have in common."""
    return {k: v for k, v in run.config["model"].items() if k not in ("start", "dtype")}
