"""A run's weights as a plain state dict in a file, for programs without optbench."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from optbench.errors import UserError
from optbench.files import BadFile
from optbench.rundir import RunDir
from optbench.step_folders import checkpoint_folder
from optbench.training import checkpoint
from optbench.training.weights_file import check_name, write_weights

ALONE = "model"
"""The player of an ordinary run, whose names are the bare module's."""


@dataclass(frozen=True)
class Weights:
    """The weights of a checkpoint.

    Attributes:
        state: tensors by name; of several players each with the player's name in front.
        averaged: whether they are averages of those that were trained.
    """

    state: dict[str, Tensor]
    averaged: bool


def weights_of(folder: RunDir, step: int) -> Weights:
    """Return the weights that a run was scored with at a step, read without building the model.

    Raises:
        UserError: no such checkpoint, a damaged one, one of something else than tensors.
    """
    players = checkpoint.read_players(folder.checkpoints, step)
    at = checkpoint_folder(folder.checkpoints, step)
    state: dict[str, Tensor] = {}
    averaged = False
    for player, said in players.items():
        own: Any = said.get("averaged") or said.get("module") if isinstance(said, dict) else None
        if not isinstance(own, dict):
            raise BadFile(f"{at}: {player} has no weights")
        averaged = averaged or bool(said.get("averaged"))
        for name, value in own.items():
            if not isinstance(value, Tensor):
                raise UserError(f"{at}: {name} is no tensor, and can't stand in a state dict")
            state[name if player == ALONE else f"{player}.{name}"] = value
    return Weights(state, averaged)


def export(folder: RunDir, step: int, target: Path, force: bool = False) -> Weights:
    """Write the weights of a checkpoint into a file.

    Args:
        folder: the run's.
        step: of a checkpoint.
        target: a file `.safetensors`, `.pt` or `.pth`, whose folder is made if it is not there.
        force: write over a file that is there.

    Raises:
        UserError: no such checkpoint, a folder that is none, or a file that is there.
    """
    check_name(target, "")
    if target.is_dir():
        raise UserError(f"{target}: a folder, where a file is meant")
    if not force and target.exists():
        raise UserError(f"{target}: it is there already; --force writes over it")
    if target.parent.exists() and not target.parent.is_dir():
        raise UserError(f"{target}: {target.parent} is no folder")
    found = weights_of(folder, step)
    target.parent.mkdir(parents=True, exist_ok=True)
    write_weights(target, found.state, {"step": str(step)}, force)
    return found
