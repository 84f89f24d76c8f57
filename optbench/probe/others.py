"""Other points than the one that is looked at: the run's checkpoints, or another run's."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor

from optbench.errors import UserError
from optbench.files import BadFile
from optbench.instruments.base import Instrument
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
        folder, step = _other(along.name, along.to, along.at)
        steps, name = [step], folder.path.name
    return [Point(step, _state(folder, step, opened.player), name) for step in steps]


def check_others(instruments: Iterable[Instrument]) -> None:
    """Raise UserError where an instrument names a run, or a checkpoint of it, that is not there."""
    for each in instruments:
        if isinstance(each, Along) and each.to is not None:
            _other(each.name, each.to, each.at)


def _other(name: str, to: str, at: str) -> tuple[RunDir, int]:
    folder = RunDir.existing(to, f"{name}.to=")
    return folder, step_of(folder, at)


def _state(folder: RunDir, step: int, player: str) -> dict[str, Tensor]:
    """Return the state of a player's module at a checkpoint."""
    players = read_players(folder.checkpoints, step)
    try:
        state: dict[str, Tensor] = players[player]["module"]
    except (KeyError, TypeError):
        raise UserError(f"{folder.path}: no player {player} at step {step}") from None
    if not (isinstance(state, dict) and all(isinstance(t, Tensor) for t in state.values())):
        raise BadFile(f"{folder.path}: {player} has no weights at step {step}")
    return state
