"""Other points than the one that is looked at: the run's checkpoints, or another run's."""

from __future__ import annotations

from torch import Tensor

from optbench.errors import UserError
from optbench.files import BadFile
from optbench.instruments.points import Along, Point
from optbench.probe.opened import Opened
from optbench.rundir import RunDir
from optbench.runs.weights import checkpoints, step_of
from optbench.training.checkpoint import read_players


def points_of(opened: Opened, along: Along) -> list[Point]:
    """Return the points that an instrument needs, oldest first.

    Args:
        opened: the run that is looked at.
        along: says whose points; those of another run are read, and nothing of it is built.

    Raises:
        UserError: no such run or checkpoint, or one without this player.
    """
    if along.to is None:
        folder, name = opened.folder, ""
        steps = list(checkpoints(folder).steps)
    else:
        folder = RunDir.existing(along.to, f"{along.name}.to=")
        steps, name = [step_of(folder, along.at)], folder.path.name
    return [Point(step, _state(folder, step, opened.player), name) for step in steps]


def _state(folder: RunDir, step: int, player: str) -> dict[str, Tensor]:
    """Return the state of a player's module at a checkpoint."""
    players = read_players(folder.checkpoints, step)
    try:
        state: dict[str, Tensor] = players[player]["module"]
    except (KeyError, TypeError):
        raise UserError(f"{folder.path}: no player {player} at step {step}") from None
    if not isinstance(state, dict):
        raise BadFile(f"{folder.path}: {player} has no weights at step {step}")
    return state
