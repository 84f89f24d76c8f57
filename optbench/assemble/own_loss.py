"""A task's loss by its class: `task.loss._target_=torch.nn.HuberLoss`."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import partial
from typing import Any

from optbench.assemble.create import call, given, locate, parameters_of
from optbench.config.libraries import loss_meant
from optbench.config.suggest import did_you_mean
from optbench.errors import UserError

TENSORS = ("weight", "pos_weight")
"""Arguments of torch's losses that are tensors, which YAML has as lists."""


def names_loss(node: Mapping[str, Any]) -> bool:
    """Return whether a task's node may name a loss."""
    return isinstance(node.get("loss"), Mapping)


def loss_path(node: Mapping[str, Any]) -> str | None:
    """Return the path of the loss that a task's node names, None where it names none."""
    return node["loss"].get("_target_") if names_loss(node) else None


def chosen_loss(node: Mapping[str, Any]) -> Any:
    """Return the loss that a task's node names, None where it names none.

    A class of torch's kind gives a loss for each example, of which the task takes the mean, so
    that parts of a batch make the whole; a function of (outputs, targets) is taken as it is.

    Raises:
        UserError: there is no such class, or it does not take the arguments.
    """
    said = node["loss"]
    key, path = "task.loss", said.get("_target_")
    arguments = given(said, f"{key}.arguments", "arguments")
    if not path:
        if arguments:
            raise UserError(f"{key}.arguments={arguments}: of which loss? set {key}._target_")
        return None
    named = loss_meant(str(path))
    if named is not None:
        at = f"{key}._target_"
        raise UserError(f"{at}={path}: expected a dotted path; did you mean {at}={named}?")
    target = locate(str(path), f"{key}._target_")
    if not inspect.isclass(target):
        return partial(target, **arguments) if arguments else target
    takes = parameters_of(target)
    if "reduction" in arguments:
        raise UserError(f"{key}.arguments.reduction: it is always the mean over examples")
    anything = any(p.kind is p.VAR_KEYWORD for p in takes.values())
    for name in arguments:
        if name not in takes and not anything:
            old = ("reduction", "reduce", "size_average")
            others = [each for each in takes if each not in old]
            hint = did_you_mean(str(name), others) if others else "it takes none"
            raise UserError(
                f"{key}.arguments.{name}: {target.__name__} takes none of this name; {hint}"
            )
    by_example = {"reduction": "none"} if "reduction" in takes else {}
    loss = call(target, key, **_as_tensors(arguments), **by_example)
    if not callable(loss):
        raise UserError(f"{key}._target_={path}: can't be called with (outputs, targets)")
    return loss


def _as_tensors(arguments: Mapping[str, Any]) -> dict[str, Any]:
    import torch

    return {
        name: torch.tensor(value, dtype=torch.float32)
        if name in TENSORS and isinstance(value, list)
        else value
        for name, value in arguments.items()
    }
