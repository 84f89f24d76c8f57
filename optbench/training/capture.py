"""What goes into chosen modules, and the gradients that come back to what they give."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge

from optbench.training.batches import MicroBatch


@dataclass(frozen=True)
class Seen:
    """A module's part in one micro-batch.

    Attributes:
        inputs: the first argument of its call.
        output_gradients: of the mean loss of the micro-batch alone, in the output's shape.
        weight: the micro-batch's in the step: gradients of the step's loss are the sum over
            micro-batches of `weight` times their own, averaged over ranks.
        terms: how many the micro-batch's loss is the mean of; see `Task.terms`.
        micro: the micro-batch's number in the evaluation, which all calls in it share.
    """

    inputs: Tensor
    output_gradients: Tensor
    weight: float
    terms: int
    micro: int


@dataclass
class _Call:
    inputs: Tensor
    weight: float
    terms: int
    micro: int
    edge: GradientEdge | None = None
    gradient: Tensor | None = None

    def take(self, gradient: Tensor) -> None:
        self.gradient = gradient.detach()


class Capture:
    """Records calls of modules while an objective is evaluated; `capture[module]` has the last's.

    A list with one `Seen` for each micro-batch, in their order; a module that is called several
    times has one for each call. A module that has no part in the loss, and a rank's micro-batch of
    weight 0, have none.

    Args:
        layers: modules of the model, whose output is one tensor.
    """

    def __init__(self, layers: Sequence[nn.Module]) -> None:
        self._calls: dict[nn.Module, list[_Call]] = {layer: [] for layer in layers}
        self._seen: dict[nn.Module, list[Seen]] = {layer: [] for layer in layers}
        self._weight, self._terms, self._micro = 0.0, 0, 0
        self._on, self._alone = False, False

    def __getitem__(self, layer: nn.Module) -> list[Seen]:
        return self._seen[layer]

    @contextmanager
    def hooked(self) -> Iterator[Capture]:
        """Have the modules tell of their calls in the block."""
        handles = [
            layer.register_forward_hook(self._see, with_kwargs=True) for layer in self._calls
        ]
        try:
            yield self
        finally:
            for handle in handles:
                handle.remove()

    @contextmanager
    def evaluation(self, scale: float, alone: bool = False) -> Iterator[None]:
        """See one evaluation, its loss multiplied by `scale`; drop what was seen before.

        `alone`: gradients of the outputs alone are taken, at their `edges`.
        """
        for calls in self._calls.values():
            calls.clear()
        self._on, self._alone = True, alone
        try:
            yield
        finally:
            self._on = False
            for layer, calls in self._calls.items():
                self._seen[layer] = [seen for call in calls if (seen := _seen(call, scale))]
                calls.clear()

    def told(
        self, micros: Iterable[MicroBatch], terms: Callable[[Any], int]
    ) -> Iterator[MicroBatch]:
        """Yield the micro-batches of an evaluation; note the weight of each as its turn comes.

        `terms` says how many the loss of a batch is the mean of.
        """
        for self._micro, micro in enumerate(micros):
            self._weight, self._terms = micro.weight, terms(micro.batch)
            yield micro

    def edges(self) -> list[GradientEdge]:
        """Return where the outputs of an `alone` evaluation stand that have no gradients yet."""
        calls = [call for some in self._calls.values() for call in some]
        return [call.edge for call in calls if call.edge is not None and call.gradient is None]

    def _see(self, layer: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        if not self._on or not torch.is_grad_enabled():
            return
        if not isinstance(output, Tensor):
            name = type(layer).__name__
            raise TypeError(f"capture: {name} gives a {type(output).__name__}, not one tensor")
        inputs = args[0] if args else next(iter(kwargs.values()))
        if output.requires_grad:
            call = _Call(inputs.detach(), self._weight, self._terms, self._micro)
            if self._alone:  # not the output, which may be overwritten by what comes next
                call.edge = get_gradient_edge(output)
            output.register_hook(call.take)
            self._calls[layer].append(call)


def _seen(call: _Call, scale: float) -> Seen | None:
    if call.gradient is None or not call.weight:
        return None
    factor = call.weight * scale
    gradient = call.gradient if factor == 1 else call.gradient / factor
    return Seen(call.inputs, gradient, call.weight, call.terms, call.micro)
