"""A run's checkpoints, and its model with the weights of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from optbench.assemble.data import dataset
from optbench.assemble.experiment import build_model
from optbench.compose.composer import hydra_session
from optbench.config.schema import from_plain
from optbench.config.suggest import nearest
from optbench.errors import UserError, reason
from optbench.files import BadFile
from optbench.rundir import RunDir
from optbench.runs.read import Checkpoints
from optbench.runs.saved import Saved
from optbench.step_folders import checkpoint_folder
from optbench.training import checkpoint, rng

MOST_DIGITS = 18
"""Of a step."""
NONE = "it has no checkpoint"


def checkpoints(folder: RunDir) -> Checkpoints:
    """Return the checkpoints that are whole, and which of them scored best."""
    whole = []
    for step in checkpoint.steps(folder.checkpoints):
        try:
            if checkpoint.damage(checkpoint_folder(folder.checkpoints, step)) is None:
                whole.append(step)
        except OSError:
            continue  # nothing that can be read
    if not whole:
        return Checkpoints()
    best = _best_of(folder, whole[-1])
    return Checkpoints(tuple(whole), best if best in whole else None, whole[-1])


def damaged_checkpoints(folder: RunDir) -> list[str]:
    """Return what is wrong with the checkpoints that are not whole, a line each."""
    found = []
    for step in checkpoint.steps(folder.checkpoints):
        at = checkpoint_folder(folder.checkpoints, step)
        try:
            problem = checkpoint.damage(at)
        except OSError as error:
            problem = reason(error)
        if problem is not None:
            found.append(f"{at}: {problem}")
    return found


def _best_of(folder: RunDir, newest: int) -> int | None:
    """Return the best step, as the newest checkpoint knows it, or the summary of an older run."""
    try:
        said = checkpoint.read_manifest(checkpoint_folder(folder.checkpoints, newest))
    except (OSError, BadFile):
        said = {}
    best = said.get("best", folder.read_summary().get("best", {}).get("step"))
    return best if isinstance(best, int) else None


def load_model(folder: RunDir, saved: Saved, step: int, device: str = "cpu") -> nn.Module:
    """Load the model with the weights that the run was scored with at a step, in evaluation mode.

    Args:
        folder: the run's.
        saved: its config, which may be built.
        step: of a checkpoint.
        device: of the model.
    """
    with hydra_session() as composer:
        saved.check(folder, composer.files)
    config = from_plain(saved.plain)
    try:
        where = torch.device(device)
    except RuntimeError:
        raise UserError(f"device={device}: no such device of torch's") from None
    drawn = rng.capture()
    try:
        modules = build_model(config, dataset(config), where)
    finally:
        rng.restore(drawn)
    load_weights(modules, folder, step)
    if not config.player:
        (model,) = modules.values()
        return model.eval()
    return nn.ModuleDict(modules).eval()


def load_weights(modules: Mapping[str, nn.Module], folder: RunDir, step: int) -> bool:
    """Give the players' modules the weights that the run was scored with at a step.

    Returns:
        Whether these are averages of those that were trained.

    Raises:
        UserError: no such checkpoint, a damaged one, or one of another model.
    """
    players = checkpoint.read_players(folder.checkpoints, step)
    try:
        for name, module in modules.items():
            module.load_state_dict(players[name]["averaged"] or players[name]["module"])
        return any(players[name]["averaged"] for name in modules)
    except (KeyError, TypeError, RuntimeError, AttributeError) as error:
        why = " ".join(f"{type(error).__name__}: {error}".split())
        at = checkpoint_folder(folder.checkpoints, step)
        raise UserError(f"{at}: it does not fit the run's model ({why[:300]})") from error


def step_of(folder: RunDir, at: str | int, said: str = "at=") -> int:
    """Return the step of a checkpoint: `best`, `last`, or a step, as a number or a text.

    Args:
        said: what it was said with, for messages.

    Raises:
        UserError: there is no such checkpoint.
    """
    if isinstance(at, str) and at.isdecimal() and len(at) <= MOST_DIGITS:
        at = int(at)
    if isinstance(at, int) and not isinstance(at, bool):
        there = checkpoint.steps(folder.checkpoints)
        if at not in there:
            lacking = f"no checkpoint of step {at}; {_listed(there)}" if there else NONE
            raise UserError(f"{folder.path}: {lacking}")
        return at
    if at not in ("best", "last"):
        near = nearest(str(at), ("best", "last"))
        hint = f"; did you mean {near}?" if near else ""
        raise UserError(f"{said}{at}: expected best, last or a step{hint}")
    found = checkpoints(folder)
    step: int | None = getattr(found, str(at))
    if step is None:
        best = _best_of(folder, found.last) if at == "best" and found.last is not None else None
        _refuse_damaged(folder, best)
        lacking = f"no {at} checkpoint; {_listed(found.steps)}" if found.steps else NONE
        raise UserError(f"{folder.path}: {lacking}")
    return step


def _refuse_damaged(folder: RunDir, wanted: int | None) -> None:
    """Raise UserError that says what is wrong with the checkpoint of a step, or else the newest."""
    there = checkpoint.steps(folder.checkpoints)
    for step in [wanted] if wanted in there and wanted is not None else there[-1:]:
        at = checkpoint_folder(folder.checkpoints, step)
        try:
            problem = checkpoint.damage(at)
        except OSError as error:
            raise UserError(reason(error)) from None
        if problem is not None:
            raise UserError(f"{at}: {problem}")


def default_at(folder: RunDir) -> str:
    """Return `best` if that checkpoint is there, else `last`."""
    return "best" if checkpoints(folder).best is not None else "last"


def _listed(steps: Sequence[int]) -> str:
    if len(steps) == 1:
        return f"there is that of step {steps[0]}"
    return f"there are {', '.join(map(str, steps))}"
