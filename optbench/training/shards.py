"""A module's parameters of which each rank has some rows, as `fully_shard` cuts them.

torch keeps such parameters as DTensors, which know the whole shape. What updates and measures them
here works on this rank's rows as plain tensors, in the same memory: that is what each optimizer,
each implementation and each norm is made for, and it costs no dispatch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Size, Tensor, nn
from torch.distributed.tensor import DTensor

from optbench.training.distributed import World
from optbench.training.row_files import share


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
        first, count = share(len(whole), self._world.size, self._world.rank)
        return whole[first : first + count].clone()

    def sharded(self, rows: Tensor, shape: Size) -> DTensor:
        """Return this rank's rows as a tensor of that shape, of which each rank has its own."""
        like = next(iter(self._sharded.values()))
        where = (like.device_mesh, like.placements)
        stride = torch.empty(shape, device="meta").stride()
        return DTensor.from_local(rows.to(like.device), *where, shape=shape, stride=stride)


def scalars(module: nn.Module) -> Sequence[str]:
    """Return the names of parameters that have no rows."""
    return [name for name, parameter in module.named_parameters() if parameter.ndim == 0]
