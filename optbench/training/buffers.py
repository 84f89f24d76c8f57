"""Modules' buffers as they were, whatever a forward pass has made of them."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from optbench.torch_internals import buffers_of


class Buffers:
    """Remembers buffers and puts them back, also those that a module assigns anew.

    Args:
        modules: whose; not those inside them.
    """

    def __init__(self, modules: Iterable[nn.Module]) -> None:
        distinct = dict.fromkeys(modules)
        self._places = [(own, name) for own in map(buffers_of, distinct) for name in own]
        self._tensors: list[Tensor | None] = []
        self._batches: list[tuple[list[Tensor], list[Tensor]]] = []

    @classmethod
    def of_all(cls, modules: Iterable[nn.Module]) -> Buffers:
        """Return the buffers of the modules and of all inside them."""
        return cls(inner for module in modules for inner in module.modules())

    @torch.no_grad()
    def remember(self) -> None:
        """Keep copies of the buffers as they are now."""
        now = [own.get(name) for own, name in self._places]
        if len(now) != len(self._tensors) or any(map(_other, now, self._tensors)):
            self._tensors = now
            self._batches = _batches(now)
        for tensors, copies in self._batches:
            torch._foreach_copy_(copies, tensors)

    @torch.no_grad()
    def put_back(self) -> None:
        """Give all buffers the values that were remembered, each in the tensor it was in."""
        for (own, name), tensor in zip(self._places, self._tensors, strict=True):
            if own.get(name) is not tensor:
                own[name] = tensor
        for tensors, copies in self._batches:
            torch._foreach_copy_(tensors, copies)


def _other(one: Tensor | None, other: Tensor | None) -> bool:
    return one is not other


def _batches(tensors: Iterable[Tensor | None]) -> list[tuple[list[Tensor], list[Tensor]]]:
    """Return the tensors with room for copies, by type: others aren't copied in one go."""
    by_type: dict[tuple[torch.dtype, torch.device], list[Tensor]] = {}
    for tensor in {id(t): t for t in tensors if t is not None}.values():
        by_type.setdefault((tensor.dtype, tensor.device), []).append(tensor)
    return [(own, [t.detach().clone() for t in own]) for own in by_type.values()]
