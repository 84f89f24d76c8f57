"""FSDP2: each rank keeps its rows of parameters, gradients and the optimizer's state.

torch's `fully_shard` (Zhao et al. 2023, "PyTorch FSDP: experiences on scaling fully sharded data
parallel", section 3; per-parameter sharding as in torchtitan) gathers a block's parameters for its
forward and backward pass and adds gradients up into rows, after each micro-batch, for whole ones
would have to stay until the last. What then measures, clips and updates works on this rank's rows
(`shards.py`), so an optimizer has to update each number by what is known of it alone, and is what a
checkpoint has of each rank (`row_files.py`): no tensor is whole but where a block is at work.

Under bf16 it is autocast that rounds, as with DDP, to the same numbers. `MixedPrecisionPolicy`
would gather half as much, but has no place for layers that want float32: on a CPU a layer norm
refuses weights in bf16 beside inputs in float32.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import Size, Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor

from optbench.errors import UserError
from optbench.optim.combined import Combined
from optbench.optim.engine.rule_optimizer import RuleOptimizer
from optbench.training.averaged import with_modes
from optbench.training.distributed import World
from optbench.training.player import Player
from optbench.training.row_files import share
from optbench.training.shards import Shards, scalars
from optbench.training.strategy import Single

ELEMENTWISE = (
    "ASGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "NAdam",
    "RAdam",
    "RMSprop",
    "Rprop",
    "SGD",
)
"""Those of torch's that update each number by what is known of it alone."""


class Fsdp2(Single):
    """Data parallel ranks, each of which keeps its rows of all that there is of a parameter.

    Args:
        world: the ranks.
    """

    whole_state, in_rows = False, True

    def __init__(self, world: World) -> None:
        self._world = world
        self._shards: dict[nn.Module, Shards] = {}

    def prepare(self, module: nn.Module, blocks: Sequence[nn.Module] = ()) -> nn.Module:
        """Shard each block, and then what is left of the module, which is returned.

        Raises:
            UserError: a parameter has no rows.
        """
        without = scalars(module)
        if without:
            raise UserError(f"strategy=fsdp2: {without[0]} is one number, without rows to share")
        with torch.no_grad():
            self._world.broadcast([*module.parameters(), *module.buffers()])
        mesh = init_device_mesh(self._world.device.type, (self._world.size,))
        for each in [*blocks, module]:
            # The root too: between steps nobody may hold what an update makes stale.
            fully_shard(each, mesh=mesh, reshard_after_forward=True)
        self._shards[module] = Shards(module, self._world)
        return module

    def own(self, module: nn.Module) -> AbstractContextManager[None]:
        """Have this rank's rows stand in the module in the block."""
        return self._shards[module].own()

    def after_backward(self, player: Player) -> Callable[[], None]:
        """Return what gives this rank's rows their gradients."""
        return self._shards[player.module].take_gradients

    def share(self, player: Player) -> None:
        """Refuse an optimizer that looks at more than one number at a time, or may.

        Raises:
            UserError: it does.
        """
        _check(player)

    def across(self) -> Callable[[Tensor], Tensor]:
        """Return what adds up numbers over the ranks."""
        return self._world.sum

    def any(self, found: bool) -> bool:
        """Return whether it is so on any rank; every rank calls it."""
        return bool(self._world.sum(torch.tensor(int(found))) > 0)

    @contextmanager
    def whole(self, player: Player) -> Iterator[None]:
        """Have each rank hold all parameters in the block, as they are evaluated."""
        parts = [each for each in player.module.modules() if isinstance(each, FSDPModule)]
        for each in parts:
            each.set_reshard_after_forward(False, recurse=False)
            each.unshard()
        try:
            yield
        finally:
            for each in parts:
                each.reshard()
                each.set_reshard_after_forward(True, recurse=False)

    def state(self, player: Player) -> dict[str, Any] | None:
        """Return the state with this rank's rows, on each rank."""
        shards = self._shards[player.module]
        with shards.own():
            own = player.state_dict()
        made = shards.sharded
        return {
            **own,
            "module": _named(own["module"], shards, made),
            "averaged": _named(own["averaged"], shards, made),
            "optimizer": _of_optimizer(own["optimizer"], player.optimizer, shards, made),
        }

    def room(self, tensor: Tensor) -> Tensor:
        """Return memory for this rank's rows."""
        (shards,) = self._shards.values()
        _, count = share(len(tensor), self._world.size, self._world.rank)
        rows = torch.empty(count, *tensor.shape[1:], dtype=tensor.dtype)
        return shards.sharded(rows, tensor.shape)

    def load(self, player: Player, state: dict[str, Any]) -> None:
        """Go on from this rank's rows of a state, or from a whole one."""
        shards = self._shards[player.module]

        def cut(saved: Tensor, shape: Size) -> Tensor:
            return saved.to_local() if isinstance(saved, DTensor) else shards.rows(saved)

        module = _named(state["module"], shards, cut)
        part = {
            **state,
            "module": _named(module, shards, shards.sharded),
            "averaged": _named(state["averaged"], shards, cut),
            "optimizer": _of_optimizer(state["optimizer"], player.optimizer, shards, cut, True),
        }
        player.load_state_dict(part)


Change = Callable[[Tensor, Size], Tensor]
"""What becomes of a tensor that is like a parameter, of whose whole shape it is told."""


def _named(values: Any, shards: Shards, change: Change) -> Any:
    """Return a module's state with its parameters changed; None stays None."""
    if values is None:
        return None
    shapes = shards.shapes
    return {n: change(v, shapes[n]) if n in shapes else v for n, v in values.items()}


def _of_optimizer(
    saved: Any,
    optimizer: torch.optim.Optimizer,
    shards: Shards,
    change: Change,
    whole: bool = False,
) -> Any:
    """Return an optimizer's state with all that is like its parameter changed.

    Args:
        whole: whether the state is of whole parameters, else of rows.
    """
    if "members" in saved:
        pairs = zip(saved["members"], optimizer.members, strict=True)  # type: ignore[attr-defined]
        every = [_of_optimizer(*pair, shards, change, whole) for pair in pairs]
        return {**saved, "members": every}
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    state = {}
    for number, values in saved["state"].items():
        shape = shards.shape_of(parameters[number])
        like = shape if whole else parameters[number].shape
        state[number] = {
            key: change(v, shape) if isinstance(v, Tensor) and v.shape == like else v
            for key, v in values.items()
        }
    return {**saved, "state": state}


def _check(player: Player) -> None:
    """Refuse what is not known to update each number by what is known of it alone."""
    why = None
    if player.needs.closure:
        why = f"{type(player.optimizer).__name__} evaluates the loss itself, at whole weights"
    elif player.hyperparameters.watches_updates:
        why = "a schedule that looks at updates sees a share of them"
    elif switched := with_modes(player.optimizer):
        name = type(switched[0]).__name__
        why = f"{name} is evaluated at other weights, which it keeps in its state"
    if why is not None:
        raise UserError(f"strategy=fsdp2: {why}; use strategy=ddp")
    if (looks := looks_further(player.optimizer)) is not None:
        raise UserError(
            f"strategy=fsdp2: {looks} works with whole matrices, or may, of which each rank has "
            "some rows; use strategy=zero1 or ddp"
        )


def looks_further(optimizer: torch.optim.Optimizer) -> str | None:
    """Return the name of what may look at more than one number at a time, None if nothing does."""
    if type(optimizer) is Combined:
        return next(filter(None, map(looks_further, optimizer.members)), None)
    name, module = type(optimizer).__name__, type(optimizer).__module__
    if module.startswith("torch.optim.") and name in ELEMENTWISE:
        return None
    rule = isinstance(optimizer, RuleOptimizer) and optimizer.measure is None
    return None if rule and module.startswith("optbench.optim.first_order.") else name
