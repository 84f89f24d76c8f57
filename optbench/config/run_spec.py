"""One run to be done, as data: it can be sent to another process."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from optbench.config.run_config import RunConfig


@dataclass(frozen=True)
class RunSpec:
    """One run to be done: its config, typed and plain, and what the command line said.

    Attributes:
        config: typed.
        plain: the same as plain data, as config.yaml has it.
        overrides: of the command line.
        choices: the file that each group chose.
        folder: wanted for the run.
        varied: the keys that differ among the runs of its sweep.
        columns: of its sweep's table in TensorBoard, with their kinds; empty without a sweep.
        warnings: what is to be told before it begins.
        changes: what is to be told when it goes on otherwise than it began.
    """

    config: RunConfig
    plain: dict[str, Any]
    overrides: list[str]
    choices: dict[str, str]
    folder: str
    varied: tuple[str, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()

    @property
    def names(self) -> dict[str, str]:
        """The choices that tell what a group is: of those no override names another class."""
        return names_of(self.choices, self.overrides)


def names_of(choices: Mapping[str, str], overrides: Iterable[str]) -> dict[str, str]:
    """Return the choices that tell what a group is; see `RunSpec.names`."""
    keys = {override.lstrip("+").partition("=")[0] for override in overrides}
    return {g: choice for g, choice in choices.items() if f"{g}._target_" not in keys}
