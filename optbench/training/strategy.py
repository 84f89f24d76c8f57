"""How the players' modules are trained by the ranks: alone, as copies that stay equal, in parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from optbench.training.checkpoint import whole
from optbench.training.distributed import World
from optbench.training.player import Player


class Strategy(Protocol):
    """What a way of sharing the training among ranks decides."""

    whole_state: bool
    """Whether each rank has the optimizers' state of all parameters."""

    in_rows: bool
    """Whether each rank has some rows of each parameter, and saves these."""

    def prepare(self, module: nn.Module, blocks: Sequence[nn.Module] = ()) -> nn.Module:
        """Make the module ready, and return what forward calls.

        Args:
            module: bare.
            blocks: its repeated parts.
        """

    def own(self, module: nn.Module) -> AbstractContextManager[None]:
        """Have what this rank updates stand in a module, in the block, in which what trains it is
        built."""

    def before_last(self, forward: nn.Module) -> Callable[[], AbstractContextManager[Any]] | None:
        """Return what goes around each micro-batch of a step but the last; None: nothing.

        It is asked for once, when the step is built.
        """

    def after_backward(self, player: Player) -> Callable[[], None] | None:
        """Return what comes after a step's last backward pass; None: nothing.

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

    def across(self) -> Callable[[Tensor], Tensor] | None:
        """Return what adds up squares over the parts that ranks have of a parameter, in place;
        None: each has all of it."""

    def any(self, found: bool) -> bool:
        """Return whether something is so of a part of the parameters. Every rank calls it."""

    def whole(self, player: Player) -> AbstractContextManager[None]:
        """Have each rank hold all of a player's parameters in the block, to evaluate them."""

    def state(self, player: Player) -> dict[str, Any] | None:
        """Return a player's state on rank 0, None on the others; where each has some rows of it,
        with these as DTensors on every rank. Every rank calls it."""

    def room(self, tensor: Tensor) -> Tensor:
        """Return memory for what this rank goes on from of a tensor that was saved in rows.

        Args:
            tensor: without content.
        """

    def load(self, player: Player, state: dict[str, Any]) -> None:
        """Have a player go on from what of a state is this rank's.

        Args:
            player: as it was built.
            state: whole, but for what `room` gave.
        """


class Single:
    """One process."""

    whole_state = True
    in_rows = False

    def prepare(self, module: nn.Module, blocks: Sequence[nn.Module] = ()) -> nn.Module:
        """Return the module itself."""
        return module

    def own(self, module: nn.Module) -> AbstractContextManager[None]:
        """Do nothing: all is this process's."""
        return nullcontext()

    def before_last(self, forward: nn.Module) -> Callable[[], AbstractContextManager[Any]] | None:
        """Return None: nothing goes around a micro-batch."""
        return None

    def after_backward(self, player: Player) -> Callable[[], None] | None:
        """Return None: nothing comes after."""
        return None

    def share(self, player: Player) -> None:
        """Do nothing: all is this process's."""

    def around_update(self, player: Player) -> Callable[[], AbstractContextManager[Any]] | None:
        """Return None: nothing goes around an update."""
        return None

    def across(self) -> Callable[[Tensor], Tensor] | None:
        """Return None: there are no parts."""
        return None

    def any(self, found: bool) -> bool:
        """Return what was found: there are no parts."""
        return found

    def whole(self, player: Player) -> AbstractContextManager[None]:
        """Do nothing: all parameters are here."""
        return nullcontext()

    def state(self, player: Player) -> dict[str, Any] | None:
        """Return the player's state."""
        return player.state_dict()

    def room(self, tensor: Tensor) -> Tensor:
        """Return memory for all of it."""
        return whole(tensor)

    def load(self, player: Player, state: dict[str, Any]) -> None:
        """Go on from all of it."""
        player.load_state_dict(state)


class DDP(Single):
    """Each rank has all parameters; gradients are averaged, with the last micro-batch.

    Args:
        world: the ranks.
    """

    def __init__(self, world: World) -> None:
        self._world = world

    def prepare(self, module: nn.Module, blocks: Sequence[nn.Module] = ()) -> nn.Module:
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
        name: `ddp`, `zero1` or `fsdp2`.
    """
    if world.size == 1:
        return Single()
    if name == "zero1":
        from optbench.training.zero1 import Zero1

        return Zero1(world)
    if name == "fsdp2":
        from optbench.training.fsdp2 import Fsdp2

        return Fsdp2(world)
    return DDP(world)
