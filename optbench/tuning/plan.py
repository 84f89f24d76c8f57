"""What a study is to do: `study.yaml`, sealed as a run's config is."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from optbench.errors import UserError, reason
from optbench.files import BadFile, dump_yaml, load_yaml, write_atomically
from optbench.runs.trust import is_own, seal
from optbench.which_run import STUDY

VERSION = 1
"""Of studies, higher with each change that older versions of optbench can't go on with."""

P = TypeVar("P")


@dataclass(frozen=True)
class StudyPlan:
    """What `study.yaml` says.

    Attributes:
        overrides: of every run.
        space: by key, as a file of the group `space` has it.
        named: where the space comes from, for messages: `space=adamw` or `search`.
        trials: how many.
        sampler, pruner: by name.
        runs: the overrides in which the runs of a trial differ: `seed=0`, `seed=1`.
        metric: by which trials are compared, of the validation set.
        mode: `min` or `max`.
        seed: of the sampler.
        executor: the overrides that say who does the runs.
        config_dir: of the user's own config files, if there is one.
        base: the config of a run without a trial's values, plain.
        against: an optimizer that the best is compared with in the end; empty for none.
        confirm: fresh seeds of that comparison.
    """

    overrides: Sequence[str]
    space: dict[str, Any]
    named: str
    trials: int
    sampler: str
    pruner: str
    runs: Sequence[Sequence[str]]
    metric: str
    mode: str
    seed: int = 0
    executor: Sequence[str] = ()
    config_dir: str | None = None
    base: Mapping[str, Any] = field(default_factory=dict)
    against: str = ""
    confirm: int = 0
    version: int = field(default=VERSION)


def write_plan(folder: Path, plan: StudyPlan) -> None:
    """Write a study's plan into its folder."""
    write_sealed(folder / STUDY, plan)


def read_plan(folder: Path) -> StudyPlan:
    """Read the plan of a study's folder; raise UserError as `read_sealed` does."""
    return read_sealed(folder / STUDY, StudyPlan, VERSION)


def write_sealed(path: Path, plan: Any) -> None:
    """Write a plan, a dataclass, with a seal that this user alone can make."""
    said = _listed(dataclasses.asdict(plan))
    write_atomically(path, dump_yaml({**said, "seal": seal(dump_yaml(said))}), sync=True)


def _listed(node: Any) -> Any:
    """Return plain data with lists for whatever sequences are in it."""
    if isinstance(node, Mapping):
        return {key: _listed(value) for key, value in node.items()}
    return [_listed(item) for item in node] if isinstance(node, list | tuple) else node


def read_sealed(path: Path, kind: type[P], version: int) -> P:
    """Read a plan as `write_sealed` left it.

    Args:
        path: of the file.
        kind: the dataclass.
        version: of studies, that this optbench goes on with.

    Raises:
        UserError: it can't be read, is none, is another version's, or was not made by this user
            here: its runs could be anything.
    """
    try:
        said = load_yaml(path)
    except OSError as error:
        raise UserError(reason(error)) from None
    sealed = said.pop("seal", None) if isinstance(said, dict) else None
    if not isinstance(said, dict) or not isinstance(sealed, dict):
        raise BadFile(f"{path}: not the plan of a study")
    if said.get("version") != version:
        raise UserError(
            f"{path}: version {said.get('version')!r:.20} of a study; "
            f"this optbench goes on with {version}"
        )
    if not is_own(dump_yaml(said), [sealed]):
        raise UserError(f"{path}: not the one that the study was begun with here")
    try:
        return kind(**said)
    except TypeError:
        raise BadFile(f"{path}: not the plan of a study") from None
