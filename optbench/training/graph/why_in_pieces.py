"""Whether the steps of a run can be repeated as one graph, by what they are made of."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from optbench.tasks.base import Task
from optbench.training.checkpointer import RunState
from optbench.training.graph.held import Held, hold
from optbench.training.player import Player

KNOWN = ("torch.nn.", "torchvision.", "optbench.models.", "optbench.tasks.")
"""Where classes stand whose code is the same operations in each step of one kind."""


@dataclass(frozen=True)
class Ways:
    """What a run's config says of its steps.

    Attributes:
        asked: the user wants a graph also of code that is nobody's we know.
        skips: steps with gradients that are not finite are left out.
        compiled: the model is.
        recomputes: activations are computed again in the backward pass.
        own_loss: the loss is a function of the user's.
    """

    asked: bool = False
    skips: bool = False
    compiled: bool = False
    recomputes: bool = False
    own_loss: bool = False


def held_or_why(state: RunState, ways: Ways) -> Held | str:
    """Return the optimizer of a run whose steps can be one graph, or why they can't.

    Args:
        state: of the run.
        ways: what its config says.
    """
    reason = _of_the_run(state, ways)
    if reason is not None:
        return reason
    (player,) = state.players
    reason = _of_the_player(player)
    if reason is None and not ways.asked:
        reason = _of_unknown_code(player.module, state.task, ways.own_loss)
    return hold(player.optimizer, player.hyperparameters.moves) if reason is None else reason


def _of_the_run(state: RunState, ways: Ways) -> str | None:
    return _first(
        {
            "several ranks exchange gradients in each step": state.world.size > 1,
            "several players take turns": len(state.players) > 1,
            "the task carries a state from step to step": state.task.carries,
            "a gradient scaler decides on the host which steps count": bool(state.precision.scaler),
            "nonfinite=skip decides on the host which steps count": ways.skips,
            "compile=true has kernels of its own, which are not tried in a graph": ways.compiled,
            "activation_checkpointing=true puts generators back in each step": ways.recomputes,
        }
    )


def _of_the_player(player: Player) -> str | None:
    needs, name = player.needs, type(player.optimizer).__name__
    found = {
        f"update_every={player.every}: not every step has an update": player.every > 1,
        f"{name} evaluates the loss itself": needs.closure,
        f"{name} differentiates the gradients": needs.create_graph,
        f"{name} has parameters rest": hasattr(player.optimizer, "resting"),
        "a schedule looks at the gradients of each step": player.hyperparameters.watches_updates,
    }
    return _first(found)


def _of_unknown_code(module: nn.Module, task: Task, own_loss: bool) -> str | None:
    """Return whose code may count its calls, or decide on the host: a user's own."""
    unknown = (
        f"{cls.__name__} is" for cls in map(type, (*module.modules(), task)) if not _known(cls)
    )
    found = "the loss is" if own_loss else next(unknown, None)
    return found and f"{found} the user's own code; cuda_graph=true takes it for repeatable"


def _known(cls: type) -> bool:
    return f"{cls.__module__}.".startswith(KNOWN)


def _first(found: dict[str, bool]) -> str | None:
    return next((reason for reason, so in found.items() if so), None)
