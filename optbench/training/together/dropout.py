"""Dropout under vmap, with each member's draws from a generator of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import dropout
from torch.overrides import TorchFunctionMode


class OwnDropout(TorchFunctionMode):
    """Draws what `torch.nn.functional.dropout` drops member by member, inside vmap.

    A member's draws are those that it would make alone, on a CPU.

    Args:
        generators: one for each member.
    """

    def __init__(self, generators: Sequence[torch.Generator]) -> None:
        super().__init__()
        self._generators = generators

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        if func is not dropout:
            return func(*args, **(kwargs or {}))
        return self._drop(*args, **(kwargs or {}))

    def _drop(
        self, input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
    ) -> Tensor:
        if not training or p == 0.0:
            return input
        dropped: Tensor = _Masked.apply(input, p, self._generators)
        return dropped


class _Masked(torch.autograd.Function):
    """What is not dropped, scaled; vmap alone is asked for it."""

    @staticmethod
    def forward(inputs: Tensor, p: float, generators: Sequence[torch.Generator]) -> Tensor:
        raise RuntimeError("dropout of something that members have in common")

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        """Keep nothing: this is never differentiated itself."""

    @staticmethod
    def vmap(info: Any, in_dims: Any, inputs: Tensor, p: float, generators: Any) -> Any:
        """Multiply with a mask for each member."""
        members = inputs.movedim(in_dims[0], 0)
        masks = torch.empty_like(members)
        for mask, generator in zip(masks.unbind(0), generators, strict=True):
            mask.bernoulli_(1 - p, generator=generator)
        return members * masks.div_(1 - p), 0
