"""Batches, models and graphs taken apart: helpers of checks."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from optbench.torch_internals import TorchDispatchMode

MOST_NODES = 200_000


def tensors(batch: Any) -> list[Tensor]:
    """Return all tensors of a batch, in order."""
    if isinstance(batch, Tensor):
        return [batch]
    if isinstance(batch, Mapping):
        return [t for value in batch.values() for t in tensors(value)]
    if isinstance(batch, list | tuple):
        return [t for value in batch for t in tensors(value)]
    return []


def mapped(batch: Any, change: Any) -> Any:
    """Return a batch with each tensor changed."""
    if isinstance(batch, Tensor):
        return change(batch)
    if isinstance(batch, Mapping):
        return {key: mapped(value, change) for key, value in batch.items()}
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(mapped(value, change) for value in batch))
    if isinstance(batch, list | tuple):
        return type(batch)(mapped(value, change) for value in batch)
    return batch


def pair(batch: Any) -> tuple[Tensor | None, Tensor | None]:
    """Return inputs and targets of a batch, None for what is not where it usually is."""
    if isinstance(batch, Tensor):
        return batch, None
    if isinstance(batch, list | tuple):
        parts = [part if isinstance(part, Tensor) else None for part in batch[:2]]
        return parts[0] if parts else None, parts[1] if len(parts) > 1 else None
    return None, None


def own_parameters(module: nn.Module) -> list[tuple[str, nn.Module, list[str]]]:
    """Return the modules that have trained parameters of their own, with the parameters' names."""
    found = []
    for name, each in module.named_modules():
        own = [n for n, p in each.named_parameters(recurse=False) if p.requires_grad]
        if own:
            found.append((name or type(module).__name__, each, own))
    return found


def nodes(value: Any) -> Iterator[Any]:
    """Yield the nodes of autograd's graph behind a tensor, or behind all tensors of a structure."""
    waiting = [t.grad_fn for t in tensors(value) if t.grad_fn is not None]
    seen = set(waiting)
    while waiting and len(seen) < MOST_NODES:
        node = waiting.pop()
        yield node
        for following, _ in node.next_functions:
            if following is not None and following not in seen:
                seen.add(following)
                waiting.append(following)


def leaves(value: Any) -> list[Tensor]:
    """Return the tensors that gradients of a value would be accumulated in."""
    found = [getattr(node, "variable", None) for node in nodes(value)]
    return [each for each in found if each is not None]


def custom_functions(value: Any) -> list[str]:
    """Return the names of `torch.autograd.Function`s of others than torch in the graph."""
    kinds = {type(node) for node in nodes(value)}
    base = torch.autograd.function.BackwardCFunction
    own = {kind.__name__.removesuffix("Backward") for kind in kinds if issubclass(kind, base)}
    return sorted(own)


class _InDouble(TorchFunctionMode):
    """Lets nothing be rounded from float64 to float32."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.Tensor.float and args[0].dtype == torch.float64:
            return args[0]
        if func is torch.Tensor.to and args[0].dtype == torch.float64:
            args = tuple(torch.float64 if a is torch.float32 else a for a in args)
            kwargs = {
                k: torch.float64 if v is torch.float32 else v for k, v in (kwargs or {}).items()
            }
        return func(*args, **(kwargs or {}))


class _Draws(TorchDispatchMode):
    """Notes which operations draw random numbers."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.names: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if torch.Tag.nondeterministic_seeded in func.tags:
            name = str(func.name()).removeprefix("aten::").partition(".")[0].rstrip("_")
            if name not in self.names:
                self.names.append(name)
        return func(*args, **(kwargs or {}))


@contextmanager
def drawing() -> Iterator[list[str]]:
    """Give the names of the operations that draw in the block."""
    with _Draws() as draws:
        yield draws.names


@contextmanager
def in_double() -> Iterator[None]:
    """Have everything computed in float64 in the block, also what a model makes itself."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with _InDouble():
            yield
    finally:
        torch.set_default_dtype(before)


def doubled(value: Any) -> Any:
    """Return a copy of a module, or of a batch's tensors, in float64."""
    if isinstance(value, nn.Module):
        return copy.deepcopy(value).double()
    return mapped(value, lambda t: t.double() if t.is_floating_point() else t)
