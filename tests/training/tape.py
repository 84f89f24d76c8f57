"""A CUDA graph's double on a CPU: operations are noted with the tensors that they had, and repeated
on these alone.

What a graph would not repeat is not repeated here either: Python's numbers stay as they were when
the operation was noted, and so do tensors of the host, as those are that neither lie "on the
device" nor come of what does. On the device lie those that are named, what is computed with them,
and what is made with `device=`. Noting changes nothing there: what was changed is put back, and so
is the random generator. As with CUDA, reading a number of the device, or mixing tensors of both
places, is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter, tree_map

READS = {
    torch.ops.aten._local_scalar_dense.default,
    torch.ops.aten.equal.default,
    torch.ops.aten.is_nonzero.default,
    torch.ops.aten.nonzero.default,
    torch.ops.aten.masked_select.default,
    torch.ops.aten._linalg_check_errors.default,
}
"""What a stream that is noted can't do: the host would have to wait for it."""
MAKERS = {
    *(torch.tensor, torch.as_tensor, torch.zeros, torch.ones, torch.empty, torch.full),
    *(torch.arange, torch.rand, torch.randn, torch.eye, torch.linspace),
}
"""What makes tensors on the CPU where no device is named."""
FROM_NUMBERS = {torch.tensor, torch.as_tensor}
"""Of these, what makes them on the CPU first whatever is named."""


class _Makers(TorchFunctionMode):
    """Notes whether a tensor that is being made is the host's."""

    def __init__(self, tape: Tape) -> None:
        super().__init__()
        self._tape = tape

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        named = dict(kwargs or {})
        if func not in MAKERS:
            return func(*args, **named)
        device = named.get("device")
        if isinstance(device, str):  # named outright, and not as where something else lies
            device = None
        if func in FROM_NUMBERS and device is not None:
            raise RuntimeError("a tensor made of numbers is sent to the device")
        self._tape.of_host = device is None
        try:
            return func(*args, **named)
        finally:
            self._tape.of_host = False


class Tape(TorchDispatchMode):
    """The operations of one function.

    Args:
        device: the tensors that lie on the device before it is called.
    """

    def __init__(self, device: Iterable[Tensor]) -> None:
        super().__init__()
        self.of_host = False
        self._kept: list[Tensor] = []
        self._device = set()
        self._old: dict[int, tuple[Tensor, Tensor]] = {}
        self._before: set[int] = set()
        for tensor in device:
            self._take(tensor)
            self._before.add(_place(tensor))
        self.notes: list[tuple[Any, Any, Any, list[Tensor]]] = []

    def note(self, function: Callable[[], None]) -> None:
        """Call a function, note what it does on the device, and undo it there."""
        generator = torch.get_rng_state()
        try:
            with _Makers(self), self:
                function()
        finally:
            torch.set_rng_state(generator)
            with torch.no_grad():
                for tensor, value in self._old.values():
                    tensor.copy_(value)

    @torch.no_grad()
    def replay(self) -> None:
        """Do it again."""
        for func, args, kwargs, outputs in self.notes:
            again = func(*args, **kwargs)
            for place, value in zip(outputs, _fresh(func, again), strict=True):
                place.copy_(value)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        given = [t for t in tree_iter((args, kwargs)) if isinstance(t, Tensor)]
        there = [t for t in given if _place(t) in self._device]
        if not there and (given or self.of_host or func is torch.ops.aten.lift_fresh.default):
            return func(*args, **kwargs)  # the host's, now and not again
        if func in READS or _by_mask(func, args):
            raise RuntimeError(f"operation not permitted when stream is capturing: {func}")
        self._check_mixed(func, given)
        self._remember(func, args, kwargs)
        found = func(*args, **kwargs)
        for tensor in tree_iter(found):
            if isinstance(tensor, Tensor):
                self._take(tensor)
        frozen = tree_map(self._frozen, (args, kwargs))
        self.notes.append((func, *frozen, _fresh(func, found)))
        return found

    def _check_mixed(self, func: Any, given: list[Tensor]) -> None:
        host = [t for t in given if _place(t) not in self._device]
        if any(t.ndim for t in host) or (host and "copy" in func.__name__):
            raise RuntimeError(f"expected all tensors to be on the same device: {func}")

    def _frozen(self, value: Any) -> Any:
        """A number of the host's is what it was when it was noted."""
        if isinstance(value, Tensor) and _place(value) not in self._device:
            return value.clone()
        return value

    def _take(self, tensor: Tensor) -> None:
        self._kept.append(tensor.detach())  # or its place would be another's
        self._device.add(_place(tensor))

    def _remember(self, func: Any, args: Any, kwargs: Any) -> None:
        """Keep the values of what was there before, if the operation changes it."""
        schema = func._schema.arguments
        named = {**dict(zip((a.name for a in schema), args, strict=False)), **kwargs}
        for argument in schema:
            changed = argument.alias_info is not None and argument.alias_info.is_write
            for tensor in tree_iter(named.get(argument.name)) if changed else ():
                if isinstance(tensor, Tensor) and _place(tensor) in self._before:
                    self._old.setdefault(id(tensor), (tensor.detach(), tensor.detach().clone()))
        if func.__name__.startswith("native_batch_norm") or "batch_norm" in func.__name__:
            for tensor in tree_iter(args):  # whose statistics the schema does not tell of
                if isinstance(tensor, Tensor) and _place(tensor) in self._before:
                    self._old.setdefault(id(tensor), (tensor.detach(), tensor.detach().clone()))


def _by_mask(func: Any, args: Any) -> bool:
    """Whether a shape depends on how many there are of something."""
    if func not in (torch.ops.aten.index.Tensor, torch.ops.aten.index_put_.default):
        return False
    return any(t is not None and t.dtype == torch.bool for t in args[1])


def _place(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


def _fresh(func: Any, found: Any) -> list[Tensor]:
    """What of an operation's results is no argument, nor a view of one."""
    results = list(found) if isinstance(found, tuple | list) else [found]
    told = func._schema.returns
    if len(told) == len(results):
        own = [r for r, t in zip(results, told, strict=True) if t.alias_info is None]
    else:
        own = results
    return [t for t in tree_iter(own) if isinstance(t, Tensor)]


class TapeGraphs:
    """Tapes where a run on a GPU has CUDA's graphs.

    Args:
        room: why there is none, as a GPU would say.

    Attributes:
        tapes: that were noted.
    """

    def __init__(self, room: str | None = None) -> None:
        self.tapes: list[Tape] = []
        self._room = room

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Nothing: there is one stream."""
        yield

    def note(self, function: Any) -> Callable[[], None]:
        """Note a step, a bound method, on a tape."""
        step = function.__self__
        tape = Tape([*step.standing(), *_tensors(step.inputs.work.micros)])
        tape.note(function)
        self.tapes.append(tape)
        return tape.replay

    def why_no_room(self) -> str | None:
        """What a test says."""
        return self._room


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict | tuple | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _tensors(part)
