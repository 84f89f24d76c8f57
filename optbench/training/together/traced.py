"""A function of tensors by its operations alone, without what vmap and autograd add to each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from optbench.tasks.base import Task
from optbench.torch_internals import NormBase

OFTEN = 50
"""Calls with tensors of the same shapes after which it pays to note the operations: that takes as
long as it saves in 150 steps."""

Function = Callable[[Mapping[str, Tensor], Any], tuple[Tensor, ...]]

KNOWN = ("torch.nn.", "optbench.models.", "optbench.tasks.")
"""Where classes stand whose code does the same in each call."""


def repeats_itself(module: nn.Module, task: Task) -> bool:
    """Return whether a loss is the same operations in each call: code of a user's own may count its
    calls, and batch norm keeps statistics."""
    inside = [*module.modules()]
    classes = [type(each) for each in (*inside, task)]
    known = all(f"{cls.__module__}.".startswith(KNOWN) for cls in classes)
    return known and not any(isinstance(each, NormBase) for each in inside)


class Traced:
    """Calls a function; of shapes that come often it notes the operations once, and repeats them.

    Both ways give the same bits: what does not is not repeated.

    Args:
        function: of tensors by name and a batch, with the same operations in each call.
    """

    def __init__(self, function: Function) -> None:
        self._function = function
        self._calls: dict[Any, int] = {}
        self._noted: dict[Any, Function] = {}

    def __call__(self, tensors: Mapping[str, Tensor], batch: Any) -> tuple[Tensor, ...]:
        """Return what the function gives."""
        key = tuple((t.shape, t.stride(), t.dtype) for t in _tensors(batch))
        noted = self._noted.get(key)
        if noted is not None:
            with torch.no_grad():
                return noted(tensors, batch)
        found = self._function(tensors, batch)
        self._calls[key] = self._calls.get(key, 0) + 1
        if self._calls[key] == OFTEN:
            self._note(key, tensors, batch, found)
        return found

    def _note(
        self, key: Any, tensors: Mapping[str, Tensor], batch: Any, found: tuple[Tensor, ...]
    ) -> None:
        from torch.fx.experimental.proxy_tensor import make_fx

        def function(tensors: Mapping[str, Tensor], batch: Any) -> tuple[Tensor, ...]:
            return self._function(tensors, batch)  # a method has an argument more than it is given

        try:
            graph = make_fx(function)(tensors, batch)
            graph.graph.eliminate_dead_code()
            graph.recompile()
            with torch.no_grad():
                again = graph.forward(tensors, batch)
        except (RuntimeError, NotImplementedError, TypeError, ValueError):
            return  # it goes on as before
        if all(map(_same, found, again)):
            self._noted[key] = graph.forward


def _tensors(batch: Any) -> Iterator[Tensor]:
    """Yield the tensors of a batch."""
    if isinstance(batch, Tensor):
        yield batch
        return
    for part in batch.values() if isinstance(batch, Mapping) else batch:
        yield from _tensors(part)


def _same(one: Tensor, other: Tensor) -> bool:
    """Return whether two are the same to the bit; of a member that is lost nobody asks."""
    return torch.equal(one.nan_to_num(), other.nan_to_num())
