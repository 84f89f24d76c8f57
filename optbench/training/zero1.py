"""ZeRO-1: each rank keeps the optimizer's state of its share of the parameters, and updates these.

Rajbhandari et al. 2020, "ZeRO: memory optimizations toward training trillion parameter models",
section 5.1 (P_os). Gradients are averaged over ranks as by DDP, so clipping, norms and what is not
finite are as there; then each rank's optimizer sees the gradients of its share alone, and the
updated parameters go round. Shares are of whole parameters, so an optimizer that works with
matrices has them whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial, reduce
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from optbench.errors import UserError
from optbench.optim.combined import Combined
from optbench.optim.engine.rule_optimizer import RuleOptimizer
from optbench.optim.needs import needs_of
from optbench.training.averaged import with_modes
from optbench.training.distributed import World
from optbench.training.player import Player
from optbench.training.strategy import DDP

KNOWN = ("torch.optim", "optbench.optim.first_order.")
"""Where optimizers are that update each parameter by what is known of it alone; rules do, too."""


class Zero1(DDP):
    """Data parallel ranks, of which each keeps a share of the optimizer's state.

    Args:
        world: the ranks.
    """

    whole_state = False

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._shares: dict[str, list[list[Tensor]]] = {}

    def share(self, player: Player) -> None:
        """Decide who updates what; forget the state that others keep.

        Raises:
            UserError: an optimizer that looks at parameters of several shares at once, or may.
        """
        _check(player)
        self._shares[player.name] = shares(player.parameters, self._world.size)
        self._forget(player)

    def around_update(self, player: Player) -> Callable[[], AbstractContextManager[Any]]:
        """Have the optimizer update this rank's share in the block, and all ranks have it then."""
        return partial(self._updated, self._shares[player.name])

    @contextmanager
    def _updated(self, every: Sequence[Sequence[Tensor]]) -> Iterator[None]:
        for rank, others in enumerate(every):
            if rank != self._world.rank:
                for parameter in others:
                    parameter.grad = None
        yield
        exchange(every)

    def state(self, player: Player) -> dict[str, Any] | None:
        """Return all shares' state on rank 0."""
        own = player.state_dict()
        # What is pickled on a GPU would come to lie there again, beside what the others have.
        own["optimizer"] = _on_cpu(own["optimizer"])
        parts: list[Any] | None = [None] * self._world.size if self._world.is_main else None
        dist.gather_object(own["optimizer"], parts, dst=0)
        if parts is None:
            return None
        own["optimizer"] = reduce(_together, parts)
        return own

    def load(self, player: Player, state: dict[str, Any]) -> None:
        """Go on from the state without what others keep, for which there may be no room."""
        own = {id(parameter) for parameter in self._shares[player.name][self._world.rank]}
        only = _only(state["optimizer"], player.optimizer, own)
        player.load_state_dict({**state, "optimizer": only})

    def _forget(self, player: Player) -> None:
        own = {id(parameter) for parameter in self._shares[player.name][self._world.rank]}
        for each in _inside(player.optimizer):
            for parameter in [p for p in each.state if id(p) not in own]:
                del each.state[parameter]


def _on_cpu(value: Any) -> Any:
    """Return plain data with its tensors on the CPU."""
    if isinstance(value, Tensor):
        return value.cpu()
    if isinstance(value, dict):
        return {key: _on_cpu(each) for key, each in value.items()}
    return type(value)(map(_on_cpu, value)) if isinstance(value, list | tuple) else value


def _together(one: Any, other: Any) -> Any:
    """Return plain data with what either has, at any depth; what both have is the first's."""
    if isinstance(one, dict):
        keys = [*one, *(key for key in other if key not in one)]
        if all(isinstance(key, int) for key in keys):  # parameters, by number
            keys.sort()
        every = {key: [part[key] for part in (one, other) if key in part] for key in keys}
        return {key: reduce(_together, parts) for key, parts in every.items()}
    if isinstance(one, list):
        return [_together(*pair) for pair in zip(one, other, strict=True)]
    return one


def shares(parameters: Sequence[Tensor], ranks: int) -> list[list[Tensor]]:
    """Return each rank's parameters: about as many numbers each, the largest parameter first.

    Example:
        >>> [[len(p) for p in own] for own in shares([torch.ones(n) for n in (3, 9, 5)], 2)]
        [[9], [3, 5]]
    """
    taken, owner = [0] * ranks, {}
    for number in sorted(range(len(parameters)), key=lambda n: -parameters[n].numel()):
        rank = taken.index(min(taken))
        taken[rank] += parameters[number].numel()
        owner[number] = rank
    return [[p for n, p in enumerate(parameters) if owner[n] == rank] for rank in range(ranks)]


@torch.no_grad()
def exchange(every: Sequence[Sequence[Tensor]]) -> None:
    """Give all ranks the parameters of each rank's share, one share after the other.

    So no rank needs room for more than one share beside its parameters.
    """
    for rank, own in enumerate(every):
        for dtype in dict.fromkeys(parameter.dtype for parameter in own):
            alike = [parameter for parameter in own if parameter.dtype == dtype]
            flat = torch.cat([parameter.reshape(-1) for parameter in alike])
            dist.broadcast(flat, src=rank)
            if rank != dist.get_rank():
                parts = flat.split([parameter.numel() for parameter in alike])
                for parameter, part in zip(alike, parts, strict=True):
                    parameter.copy_(part.view_as(parameter))


def _only(saved: Any, optimizer: torch.optim.Optimizer, own: set[int]) -> Any:
    """Return an optimizer's saved state with that of some parameters alone, given by identity."""
    if "members" in saved:
        pairs = zip(saved["members"], _inside(optimizer), strict=True)
        return {**saved, "members": [_only(state, each, own) for state, each in pairs]}
    every = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    others = {number for number, parameter in enumerate(every) if id(parameter) not in own}
    return {**saved, "state": {n: s for n, s in saved["state"].items() if n not in others}}


def _inside(optimizer: torch.optim.Optimizer) -> list[torch.optim.Optimizer]:
    """Return an optimizer, or those that it steps."""
    return list(getattr(optimizer, "members", [optimizer]))


def _check(player: Player) -> None:
    """Refuse what is not known to update each parameter by what is known of it alone."""
    whole = player.optimizer
    why = _unfit(whole) if type(whole) is not Combined else None
    if player.needs.closure:
        asking = next((each for each in _inside(whole) if needs_of(each).closure), whole)
        why = f"{type(asking).__name__} evaluates the loss itself, for all parameters at once"
    why = next(filter(None, [why, *map(_unfit, _inside(whole))]), None)
    if player.hyperparameters.watches_updates:
        why = "a schedule that looks at updates sees a share of them"
    if why is not None:
        raise UserError(f"strategy=zero1: {why}; use strategy=ddp")


def _unfit(optimizer: torch.optim.Optimizer) -> str | None:
    """Return why an optimizer can't have its state shared out, None if it can."""
    name = type(optimizer).__name__
    if with_modes(optimizer):
        return f"{name} is evaluated at other weights, which it keeps in its state"
    if type(optimizer).__module__.startswith(KNOWN) or isinstance(optimizer, RuleOptimizer):
        return None
    return (
        f"{name} may look at all parameters at once, as none of torch's and of optbench's own "
        "first-order ones does"
    )
