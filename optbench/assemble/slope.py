"""Whether a loss of the user's own has gradients, tried before a run has a folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor, nn

from optbench.assemble.blame import named
from optbench.assemble.own_loss import loss_path
from optbench.assemble.smallest import untouched
from optbench.config.run_config import RunConfig
from optbench.errors import UserError
from optbench.tasks.base import Task
from optbench.training.batches import BatchStream
from optbench.training.player import Player
from optbench.training.precision import Precision

EXAMPLES = 2
HINT = "nothing in it may detach, or leave torch by item() or numpy()"


def check_slope(
    config: RunConfig,
    task: Task,
    modules: Mapping[str, nn.Module],
    players: Sequence[Player],
    feed: BatchStream,
    precision: Precision,
    choices: Mapping[str, str],
) -> None:
    """Compute the loss of two examples, and change nothing.

    Of parts that are optbench's this is known, and so is it where nobody asks for gradients.

    Args:
        modules: the players', bare.
        choices: the file that each group chose, for messages.

    Raises:
        UserError: it is no scalar, or no parameter has a part in it.
    """
    chosen = loss_path(config.task)
    nodes = {"model": config.model, "task": config.task}
    own = [g for g, node in nodes.items() if not str(node["_target_"]).startswith("optbench.")]
    if task.carries or not (chosen or own):
        return
    names = {group: named(group, node, choices) for group, node in nodes.items()}
    names["loss"] = f"task.loss._target_={chosen}" if chosen else names["task"]
    with untouched(modules, task, config.compile), torch.enable_grad(), precision.forward():
        few = feed.indices[:EXAMPLES]
        for batch in feed.source.stream(few, [(0, len(few))]):
            for player in players:
                if player.needs.gradients and _trains(modules[player.name]):
                    _check(task, modules, batch, player.name, names)


def _trains(module: nn.Module) -> bool:
    return any(parameter.requires_grad for parameter in module.parameters())


def _check(
    task: Task, modules: Mapping[str, nn.Module], batch: Any, player: str, names: Mapping[str, str]
) -> None:
    try:
        loss = task.loss(modules, batch, player)
    except Exception:  # only in training: told of with its traceback when it is
        return
    if not isinstance(loss, Tensor) or loss.ndim:
        kind = f"shape {list(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
        raise UserError(f"{names['loss']}: gives a loss of {kind}; expected a tensor of one number")
    if loss.requires_grad:
        return
    outputs: Any = None
    with suppress(Exception):  # a task whose loss goes by no outputs
        outputs = task.predict(modules, batch, player)
    cut = isinstance(outputs, Tensor) and not outputs.requires_grad
    what, gives = (names["model"], "outputs") if cut else (names["loss"], "a loss")
    raise UserError(f"{what}: gives {gives} without gradients to train by; {HINT}")
