"""A function of tensors by its operations alone, without what vmap and autograd add to each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from optbench.tasks.base import Task
from optbench.torch_internals import NormBase, one_fake_mode
from optbench.training.together.lighter import lighter

OFTEN = 200
"""Calls with tensors of the same shapes from which on it pays to note the operations: that takes
as long as it saves in half as many steps."""

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

    What is repeated is lighter than what was noted, and the same up to rounding. It is used from
    the first call on, so that a run that goes on where it was killed has the same bits.

    Args:
        function: of tensors by name and a batch, with the same operations in each call.
        calls: how many there are in all with batches of these shapes.
        places: where the last so many tensors that it gives are wanted. Those that are there
            already are given as the place itself, the others have to be copied.
    """

    def __init__(
        self, function: Function, calls: Callable[[Any], float], places: Sequence[Tensor] = ()
    ) -> None:
        self._function, self._expected, self._places = function, calls, places
        self._noted: dict[Any, Function] = {}

    def __call__(self, tensors: Mapping[str, Tensor], batch: Any) -> tuple[Tensor, ...]:
        """Return what the function gives."""
        key = tuple((t.shape, t.stride(), t.dtype) for t in tensors_of(batch))
        if key not in self._noted:
            pays = self._expected(batch) >= OFTEN
            self._noted[key] = self._note(tensors, batch) if pays else self._function
        function = self._noted[key]
        if function is self._function:
            return function(tensors, batch)
        with torch.no_grad():
            return function(tensors, batch)

    def _note(self, tensors: Mapping[str, Tensor], batch: Any) -> Function:
        """Return the operations as a function; what they are noted of where that can't be done."""
        from torch.fx.experimental.proxy_tensor import make_fx

        def function(tensors: Mapping[str, Tensor], batch: Any) -> tuple[Tensor, ...]:
            return self._function(tensors, batch)  # a method has an argument more than it is given

        try:
            with one_fake_mode():
                graph = lighter(make_fx(function)(tensors, batch), self._places)
            with torch.no_grad():
                noted = graph.forward(tensors, batch)
            found = self._function(tensors, batch)
        except Exception:  # whatever it is, the function itself still works
            return self._function
        same = all(map(_close, noted, found))
        return graph.forward if same else self._function


def tensors_of(batch: Any) -> Iterator[Tensor]:
    """Yield the tensors of a batch."""
    if isinstance(batch, Tensor):
        yield batch
        return
    for part in batch.values() if isinstance(batch, Mapping) else batch:
        yield from tensors_of(part)


def _close(one: Tensor, other: Tensor) -> bool:
    """Return whether two agree up to half the digits of the largest number in them."""
    digits = torch.finfo(one.dtype).eps ** 0.5
    one, other = one.nan_to_num(), other.nan_to_num()  # of a member that is lost nobody asks
    return torch.allclose(one, other, digits, digits * float(other.abs().max()))
