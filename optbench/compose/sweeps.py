"""The runs of a sweep, from what the command line says of all of them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from hydra.core.override_parser.types import Override
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from optbench.compose.composer import Composer, folder_of, keys_of
from optbench.compose.files import GROUPS, OVERLAYS
from optbench.compose.grid import as_lines, combinations, params_of, without_params
from optbench.compose.players import as_typed
from optbench.errors import UserError

BASIC = ("basic", "None")
"""The launcher and the sweeper of Hydra whose work is done here, in this warm process."""


@dataclass(frozen=True)
class Grid:
    """What a command line with several values asks for.

    Attributes:
        runs: the overrides of each run.
        folder: wanted for the sweep.
        basic: whether its runs are done here, not by a launcher plugin of Hydra's.
        cfg: the composed config with its `hydra` node.
    """

    runs: list[list[str]]
    folder: str
    basic: bool
    cfg: DictConfig


def compose_grid(composer: Composer, overrides: Sequence[str]) -> Grid | DictConfig:
    """Compose a sweep; the config alone where a sweeper plugin is to choose the runs.

    Raises:
        UserError: what Hydra refuses, or a setting of it that a sweep here has no use for.
    """
    parsed = composer.parse(overrides)
    for override in parsed:
        if override.key_or_group == "hydra.run.dir":
            where = str(override.input_line).partition("=")[2]
            raise UserError(
                f"{override.input_line}: of one run; with several hydra.sweep.dir={where}"
            )
    own = [o for o in parsed if o.key_or_group == "hydra/sweeper" and str(o.value()) not in BASIC]
    said = overrides if own else without_params(_for_all(parsed))
    cfg = composer.compose(said, RunMode.MULTIRUN)
    choices = cfg.hydra.runtime.choices
    if str(choices.get("hydra/sweeper")) not in BASIC:
        return cfg
    numbered = cast(dict[str, Any], OmegaConf.to_container(cfg.hydra.sweep, resolve=False))
    if numbered["subdir"] != "${hydra.job.num}":
        raise UserError("hydra.sweep.subdir: a sweep's runs are numbered, so it can't be set")
    basic = str(choices.get("hydra/launcher")) in BASIC
    return Grid(expand(composer, cfg, parsed), folder_of(cfg.hydra, "sweep"), basic, cfg)


def _for_all(parsed: Sequence[Override]) -> list[str]:
    """Return the overrides without the settings of groups of which each run has a file of its own.

    The file of no run may have such a key: `optimizer=sgd,heavy_ball optimizer.momentum=0.9`.
    """
    swept = {o.package or o.key_or_group for o in parsed if o.is_sweep_override()}
    if swept & {*OVERLAYS, "task"}:
        swept |= {*GROUPS, "player"}
    elif swept & {"model", "dataset"}:  # which choose the task
        swept |= {"task", "player"}
    groups = tuple(f"{at}." for at in swept if at.partition(".")[0] in (*GROUPS, "player"))
    return [str(o.input_line) for o in parsed if not o.key_or_group.startswith(groups) or o.package]


def expand(composer: Composer, cfg: DictConfig, parsed: Sequence[Override]) -> list[list[str]]:
    """Return the overrides of each run: all combinations, the last key changing fastest."""
    params = cast(dict[str, Any], OmegaConf.to_container(cfg.hydra.sweeper)).get("params") or {}
    fixed = composer.parse(as_lines({**params, **params_of(parsed)}))
    task = [o for o in [*fixed, *parsed] if not o.key_or_group.startswith("hydra")]
    return [list(map(as_typed, run)) for run in combinations(task)]


def varied_keys(grid: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Return the keys that differ among the runs of a grid."""
    values: dict[str, set[str]] = {}
    for line in itertools.chain.from_iterable(grid):
        values.setdefault(keys_of([line])[0], set()).add(line)
    return tuple(key for key, lines in values.items() if len(lines) > 1)
