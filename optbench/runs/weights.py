"""A run's checkpoints, and its model with the weights of one."""

from __future__ import annotations

import torch
from torch import nn

from optbench.assemble.data import dataset
from optbench.assemble.experiment import build_model
from optbench.compose.composer import hydra_session
from optbench.config.schema import from_plain
from optbench.errors import UserError
from optbench.files import BadFile
from optbench.rundir import RunDir
from optbench.runs.read import Checkpoints
from optbench.runs.saved import Saved
from optbench.training import checkpoint, rng


def checkpoints(folder: RunDir) -> Checkpoints:
    """The checkpoints that are whole, and which of them scored best."""
    whole = []
    for step in checkpoint.steps(folder.checkpoints):
        try:
            if checkpoint.damage(folder.checkpoints / f"step-{step:08d}") is None:
                whole.append(step)
        except OSError:
            continue  # nothing that can be read
    if not whole:
        return Checkpoints()
    best = _best_of(folder, whole[-1])
    return Checkpoints(tuple(whole), best if best in whole else None, whole[-1])


def _best_of(folder: RunDir, newest: int) -> int | None:
    """The best step, as the newest checkpoint knows it, or the summary of an older run."""
    try:
        said = checkpoint.read_manifest(folder.checkpoints / f"step-{newest:08d}")
    except (OSError, BadFile):
        said = {}
    best = said.get("best", folder.read_summary().get("best", {}).get("step"))
    return best if isinstance(best, int) else None


def load_model(folder: RunDir, saved: Saved, step: int, device: str = "cpu") -> nn.Module:
    """The model with the weights that the run was scored with at a step, in evaluation mode.

    Args:
        folder: the run's.
        saved: its config, which may be built.
        step: of a checkpoint.
        device: of the model.
    """
    with hydra_session() as composer:
        saved.check(folder, composer.files)
    config = from_plain(saved.plain)
    players = checkpoint.read_players(folder.checkpoints, step)
    try:
        where = torch.device(device)
    except RuntimeError:
        raise UserError(f"device={device}: no such device of torch's") from None
    drawn = rng.capture()
    try:
        modules = build_model(config, dataset(config), where)
    finally:
        rng.restore(drawn)
    for name, module in modules.items():
        try:
            module.load_state_dict(players[name]["averaged"] or players[name]["module"])
        except (KeyError, TypeError, RuntimeError, AttributeError) as error:
            why = " ".join(f"{type(error).__name__}: {error}".split())
            at = folder.checkpoints / f"step-{step:08d}"
            raise UserError(f"{at}: it does not fit the run's model ({why[:300]})") from error
    if not config.player:
        (model,) = modules.values()
        return model.eval()
    return nn.ModuleDict(modules).eval()
