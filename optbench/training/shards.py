"""A module's parameters of which each rank has some rows, as `fully_shard` cuts them.

torch keeps such parameters as DTensors, which know the whole shape. What updates and measures them
here works on this rank's rows as plain tensors, in the same memory: that is what each optimizer,
each implementation and each norm is made for, and it costs no dispatch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Size, Tensor, nn
from torch.distributed.tensor import DTensor

from optbench.training.distributed import World


class Shards:
    """This rank's rows of a module's parameters.

    Args:
        module: after `fully_shard`, with its parameters sharded.
        world: the ranks.
    """

    def __init__(self, module: nn.Module, world: World) -> None:
        self._world = world
        self._places: list[tuple[nn.Module, str]] = []
        self._sharded: dict[int, DTensor] = {}
        self._own: dict[int, nn.Parameter] = {}
        self._named: dict[str, DTensor] = {}
        for at, each in module.named_modules():
            for name, parameter in each.named_parameters(recurse=False, remove_duplicate=False):
                assert isinstance(parameter, DTensor), name
                self._places.append((each, name))
                self._sharded[id(parameter)] = parameter
                self._named[f"{at}.{name}" if at else name] = parameter
        with torch.no_grad():
            for key, sharded in self._sharded.items():
                rows = sharded.to_local()
                self._own[key] = nn.Parameter(rows, requires_grad=sharded.requires_grad)
        self._shapes = {id(self._own[key]): each.shape for key, each in self._sharded.items()}
        self._checked = False

    @property
    def shapes(self) -> dict[str, Size]:
        """The whole shapes, by the parameters' names; a tied one has two."""
        return {name: parameter.shape for name, parameter in self._named.items()}

    def shape_of(self, own: Tensor) -> Size:
        """Return the shape of the parameter that some rows are of."""
        return self._shapes[id(own)]

    @contextmanager
    def own(self) -> Iterator[None]:
        """Have the rows stand in the module, as plain parameters: to be built with and copied."""
        kept = [(each, name, getattr(each, name)) for each, name in self._places]
        for each, name, sharded in kept:
            setattr(each, name, self._own[id(sharded)])
        try:
            yield
        finally:
            for each, name, sharded in kept:
                setattr(each, name, sharded)

    @torch.no_grad()
    def take_gradients(self) -> None:
        """Give the rows the gradients that the backward pass has left.

        Raises:
            RuntimeError: torch has put the rows elsewhere, so that updates would be lost.
        """
        if not self._checked:  # once: it sets itself up in the first forward pass
            self._checked = True
            for key, sharded in self._sharded.items():
                if sharded.to_local().data_ptr() != self._own[key].data_ptr():
                    raise RuntimeError("fully_shard keeps other rows than those that are updated")
        for key, sharded in self._sharded.items():
            gradient = sharded.grad
            self._own[key].grad = gradient.to_local() if isinstance(gradient, DTensor) else None
            sharded.grad = None

    def rows(self, whole: Tensor) -> Tensor:
        """Return this rank's rows of a whole tensor, copied."""
        size, rank = _chunk(len(whole), self._world.size), self._world.rank
        return whole[size * rank : size * (rank + 1)].clone()

    def sharded(self, name: str, rows: Tensor) -> DTensor:
        """Return rows as a parameter of that name has them in the module's state."""
        like = self._named[name]
        here = rows.to(like.device)
        where = (like.device_mesh, like.placements)
        return DTensor.from_local(here, *where, shape=like.shape, stride=like.stride())

    @torch.no_grad()
    def gather(self, rows: Tensor, shape: Size) -> Tensor | None:
        """Return the whole tensor of a shape on rank 0, in main memory; every rank calls it."""
        size = _chunk(shape[0], self._world.size)
        padded = rows.new_zeros(size, *shape[1:])
        padded[: len(rows)] = rows
        if not self._world.is_main:
            dist.gather(padded, dst=0)
            return None
        parts = [torch.empty_like(padded) for _ in range(self._world.size)]
        dist.gather(padded, parts, dst=0)
        return torch.cat(parts)[: shape[0]].cpu()


def _chunk(rows: int, ranks: int) -> int:
    """Return how many rows each rank has but those at the end, which have less, or none."""
    return -(-rows // ranks)


def scalars(module: nn.Module) -> Sequence[str]:
    """Return the names of parameters that have no rows."""
    return [name for name, parameter in module.named_parameters() if parameter.ndim == 0]
