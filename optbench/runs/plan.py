"""What a sweep is to do: `sweep.yaml`, sealed as a run's config is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from optbench.compose.texts import check_flag
from optbench.errors import UserError, reason
from optbench.files import BadFile, dump_yaml, load_yaml, write_atomically
from optbench.rundir import PLAN
from optbench.runs.columns import KINDS
from optbench.runs.trust import is_own, seal
from optbench.which_folder import refuse_no_folder


@dataclass(frozen=True)
class Plan:
    """What `sweep.yaml` says.

    Attributes:
        grid: the overrides of each run.
        config_dir: of the user's own config files, if there is one.
        own: whether this user made the plan.
        columns: of the runs' table in TensorBoard, with their kinds.
        executor: the overrides that say who does the runs.
    """

    grid: list[list[str]]
    config_dir: str | None = None
    own: bool = True
    columns: Mapping[str, str] = field(default_factory=dict)
    executor: Sequence[str] = ()


def write_plan(folder: Path, overrides: Sequence[str], plan: Plan) -> None:
    """Write a sweep's plan into its folder; `overrides`: as the command line had them."""
    said = {
        "overrides": list(overrides),
        "grid": plan.grid,
        "config_dir": plan.config_dir,
        "columns": dict(plan.columns),
        **({"executor": list(plan.executor)} if plan.executor else {}),
    }
    sealed = {**said, "seal": seal(dump_yaml(said))}
    write_atomically(folder / PLAN, dump_yaml(sealed), sync=True)


def read_plan(folder: Path, trust: bool = False) -> Plan:
    """Read the plan of a sweep's folder.

    Args:
        folder: the sweep's.
        trust: do what it says, whoever wrote it.

    Raises:
        UserError: it can't be read, is none, is not the one that was made, or is somebody else's
            and reaches further than the runs' own settings.
    """
    check_flag("trust", trust)
    path = folder / PLAN
    try:
        said = load_yaml(path)
    except FileNotFoundError:
        refuse_no_folder(folder, str(folder))
        run = ": it is a run's" if (folder / "config.yaml").is_file() else f": it has no {PLAN}"
        raise UserError(f"{folder}: not a sweep's folder{run}") from None
    except OSError as error:
        raise UserError(reason(error)) from None
    sealed = said.pop("seal", None) if isinstance(said, dict) else None
    grid = said.get("grid") if isinstance(said, dict) else None
    if not isinstance(grid, list) or not all(
        isinstance(run, list) and all(isinstance(line, str) for line in run) for run in grid
    ):
        raise BadFile(f"{path}: not the plan of a sweep")
    text = dump_yaml(said)
    own = isinstance(sealed, dict) and is_own(text, [sealed])
    if isinstance(sealed, dict) and sealed.get("sha256") != seal(text)["sha256"]:
        raise BadFile(
            f"{path}: not the one that the sweep had (another SHA-256); put that one back"
        )
    config_dir = said.get("config_dir")
    if not own and not trust:
        _refuse_reach(path, grid, config_dir)
    columns = said.get("columns")
    if not isinstance(columns, dict) or not all(
        isinstance(key, str) and isinstance(kind, str) and kind in KINDS
        for key, kind in columns.items()
    ):
        columns = {}
    executor = said.get("executor") if own or trust else None  # it may run commands
    if not isinstance(executor, list) or not all(isinstance(line, str) for line in executor):
        executor = []
    return Plan(grid, config_dir if isinstance(config_dir, str) else None, own, columns, executor)


def _refuse_reach(path: Path, grid: Sequence[Sequence[str]], config_dir: object) -> None:
    """Raise UserError where a stranger's plan reads the environment, or config files of his own."""
    for line in (line for run in grid for line in run):
        if "${" in line or line.lstrip("+~").startswith("hydra"):
            raise UserError(f"{path}: {line}: not in a sweep that you did not begin here")
    if config_dir is not None:
        raise UserError(
            f"{path}: config_dir: {config_dir}: config files of somebody else; "
            "optbench resume SWEEP --trust uses them all the same"
        )
