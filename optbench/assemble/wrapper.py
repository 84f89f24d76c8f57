"""An optimizer around another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from optbench.assemble.create import create, locate
from optbench.assemble.optimizer import Built
from optbench.errors import UserError
from optbench.optim.needs import needs_of


def wrapped(built: Built, node: Mapping[str, Any]) -> Built:
    """Put the optimizer inside what the config's `wrapper` names, if it names something.

    Raises:
        UserError: the two do not go together, or the wrapper refuses its arguments.
    """
    if not node.get("_target_"):
        return built
    inner = built.optimizer
    cls = locate(str(node["_target_"]), "wrapper._target_")
    if getattr(cls, "other_gradients", False):
        _check(inner, cls.__name__)
    return replace(built, optimizer=create(node, "wrapper", inner))


def _check(inner: torch.optim.Optimizer, wrapper: str) -> None:
    """Refuse what can't go inside a wrapper that gives it another gradient than the loss has."""
    needs = needs_of(inner)
    if needs.objective == "many":
        does = "evaluates the loss itself"
    elif needs.create_graph:
        does = "differentiates the gradients"
    elif needs.own_gradient:
        does = "needs the loss's own gradient"
    else:
        return
    raise UserError(
        f"wrapper: {wrapper} can't wrap {type(inner).__name__}, which {does}; use wrapper=none"
    )
