"""An optimizer around another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from optbench.build.create import create
from optbench.build.optimizer import Built
from optbench.errors import UserError
from optbench.training.player import needs_closure, traits


def wrapped(built: Built, node: Mapping[str, Any]) -> Built:
    """The optimizer inside what the config's `wrapper` names, if it names something.

    Raises:
        UserError: the optimizer evaluates the loss itself, or the wrapper refuses its arguments.
    """
    if not node.get("_target_"):
        return built
    inner = built.optimizer
    name = str(node["_target_"]).rpartition(".")[2]
    if needs_closure(inner):
        does = "evaluates the loss itself"
    elif "create_graph" in traits(inner):
        does = "differentiates the gradients"
    else:
        does = ""
    if does:
        raise UserError(
            f"wrapper: {name} goes not around {type(inner).__name__}, which {does}; "
            "use wrapper=none"
        )
    outer = create(node, "wrapper", inner)
    outer.traits = traits(outer) | traits(inner)
    return replace(built, optimizer=outer)
