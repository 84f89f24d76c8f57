"""How the players' modules are trained by the ranks: alone, or as copies that stay equal."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol

from torch import nn
from torch.nn.parallel import DistributedDataParallel

from optbench.training.distributed import World
from optbench.training.player import Player


class Strategy(Protocol):
    """What a way of sharing the training among ranks decides."""

    whole_state: bool
    """Whether each rank has the optimizers' state of all parameters."""

    def prepare(self, module: nn.Module) -> nn.Module:
        """Make the module ready, and return what forward calls.

        The optimizer is built afterwards, over the parameters that the module has then.
        """

    def before_last(self, forward: nn.Module) -> Callable[[], AbstractContextManager[Any]] | None:
        """Return what goes around each micro-batch of a step but the last; None: nothing.

        It is asked for once, when the step is built.
        """

    def share(self, player: Player) -> None:
        """Decide who updates which of a player's parameters, once it is built.

        Raises:
            UserError: its optimizer can't be shared out like that.
        """

    def around_update(self, player: Player) -> Callable[[], AbstractContextManager[Any]] | None:
        """Return what goes around each update of a player; None: nothing.

        It is asked for once, when the step is built.
        """

    def state(self, player: Player) -> dict[str, Any] | None:
        """Return a player's whole state on rank 0, None on the others. Every rank calls it."""

    def part(self, player: Player, state: dict[str, Any]) -> dict[str, Any]:
        """Return what of a player's whole state this rank goes on from."""


class Single:
    """One process."""

    whole_state = True

    def prepare(self, module: nn.Module) -> nn.Module:
        """Return the module itself."""
        return module

    def before_last(self, forward: nn.Module) -> Callable[[], AbstractContextManager[Any]] | None:
        """Return None: nothing goes around a micro-batch."""
        return None

    def share(self, player: Player) -> None:
        """Do nothing: all is this process's."""

    def around_update(self, player: Player) -> Callable[[], AbstractContextManager[Any]] | None:
        """Return None: nothing goes around an update."""
        return None

    def state(self, player: Player) -> dict[str, Any] | None:
        """Return the player's state."""
        return player.state_dict()

    def part(self, player: Player, state: dict[str, Any]) -> dict[str, Any]:
        """Return all of it."""
        return state


class DDP(Single):
    """Each rank has all parameters; gradients are averaged, with the last micro-batch.

    Args:
        world: the ranks.
    """

    def __init__(self, world: World) -> None:
        self._world = world

    def prepare(self, module: nn.Module) -> nn.Module:
        """Return the module in DistributedDataParallel, with its parameters the same objects."""
        device = self._world.device
        ids = [device.index] if device.type == "cuda" else None
        return DistributedDataParallel(module, device_ids=ids, gradient_as_bucket_view=True)

    def before_last(self, forward: nn.Module) -> Callable[[], AbstractContextManager[Any]]:
        """Return torch's `no_sync`: no exchange of gradients."""
        assert isinstance(forward, DistributedDataParallel)
        return forward.no_sync

    def state(self, player: Player) -> dict[str, Any] | None:
        """Return rank 0's state, which is every rank's."""
        return player.state_dict() if self._world.is_main else None


def strategy_of(world: World, name: str = "ddp") -> Strategy:
    """Return how these ranks train; one process alone trains as ever.

    Args:
        world: the ranks.
        name: `ddp` or `zero1`.
    """
    if world.size == 1:
        return Single()
    if name == "zero1":
        from optbench.training.zero1 import Zero1

        return Zero1(world)
    return DDP(world)
