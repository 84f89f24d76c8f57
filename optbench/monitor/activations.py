"""Units of a layer that are dead, and outputs that are saturated, in one forward pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn

from optbench.monitor.watching import Watching

EARLY = (1, 2, 5, 10, 20)
EACH = 30
"""Of the monitored steps these first ones, and every so many, are looked at."""

MOST = 1 << 18
"""Numbers of a layer's output that are looked at; of more, examples are left out evenly."""

NEAR_END = 0.99
"""Of what a squashing function can give at most: beyond it its slope is below 2 % of the best."""


_NUMPYS = {torch.float32, torch.float64}
"""Of these, on a processor, numpy is asked: its calls cost a fraction of torch's."""


def _dead(output: Any) -> Any:
    """Return which units are 0 for all examples (and places), of numpy's or torch's kind.

    Units are the last dimension, of images [N, C, H, W] and volumes the channels.
    """
    count = len(output.shape)
    unit = 1 if count > 3 else count - 1
    others = tuple(d for d in range(count) if d != unit)
    alive = output > 0
    if not others:
        return ~alive
    return alive.sum(others) == 0


def _saturated(output: Any) -> Any:
    """Return which of a tanh's outputs are near its ends."""
    return abs(output) > NEAR_END


def _saturated_from_0(output: Any) -> Any:
    """Return the same of a sigmoid."""
    return abs(output - 0.5) > NEAR_END / 2


_KINDS: dict[type[nn.Module], tuple[str, Callable[[Any], Any]]] = {
    nn.ReLU: ("dead_units", _dead),
    nn.ReLU6: ("dead_units", _dead),
    nn.Tanh: ("saturated", _saturated),
    nn.Sigmoid: ("saturated", _saturated_from_0),
}


def _of_rnn(module: nn.RNN) -> tuple[str, Callable[[Any], Any]]:
    return ("saturated", _saturated) if module.nonlinearity == "tanh" else ("dead_units", _dead)


def _few(output: Any) -> Tensor | None:
    """Return what is looked at of a layer's output, None of what can't be."""
    given = output[0] if isinstance(output, tuple) else output
    if not isinstance(given, Tensor) or not given.numel():
        return None
    few = given.detach()
    many = few.numel() > MOST and few.dim() > 1
    return few[:: -(-few.numel() // MOST)] if many else few


class ActivationWatch:
    """Looks at the activations of a module in some forward passes; between them it costs nothing.

    Seen are torch's own modules ReLU, ReLU6, Tanh, Sigmoid and RNN, each at its first call in a
    pass. What a model calls as a function is not.

    Args:
        module: whose activations.
        every: steps from one monitored step to the next; 0 looks at none.
        watching: takes in what it costs.
    """

    def __init__(self, module: nn.Module, every: int, watching: Watching | None = None) -> None:
        self._watching = Watching() if watching is None else watching
        self._every = every
        self._layers: list[tuple[str, nn.Module, Callable[[Any], Any]]] = []
        for name, layer in module.named_modules() if every else ():
            found = _of_rnn(layer) if type(layer) is nn.RNN else _KINDS.get(type(layer))
            if found is not None:
                self._layers.append((f"{found[0]}/{name or 'model'}", layer, found[1]))
        self._found: dict[str, Tensor | float] = {}

    def due(self, step: int) -> bool:
        """Return whether a monitored step is one to look at; it follows from the step alone."""
        if not self._layers:
            return False
        number = -(-step // self._every)
        return number % EACH == 0 or number in EARLY

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Look at the forward passes in the block."""
        self._found.clear()
        hooks = [
            layer.register_forward_hook(self.hook(tag, measure))
            for tag, layer, measure in self._layers
        ]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def shares(self, forward: Callable[[], Any]) -> dict[str, Tensor]:
        """Return the shares in a pass by tag, for whoever makes it for several models by vmap."""
        found: dict[str, Tensor] = {}

        def hook(tag: str, measure: Callable[[Any], Any]) -> Callable[..., None]:
            def look(module: nn.Module, inputs: Any, output: Any) -> None:
                few = _few(output)
                if tag not in found and few is not None:
                    found[tag] = measure(few).double().mean()

            return look

        hooks = [each.register_forward_hook(hook(tag, how)) for tag, each, how in self._layers]
        try:
            forward()
        finally:
            for each in hooks:
                each.remove()
        return found

    def take(self, shares: Mapping[str, Tensor | float], seconds: float) -> None:
        """Take the shares of a pass that somebody else has made, and what that took."""
        self._found = dict(shares)
        self._watching.add("activations", seconds, inside=True)

    def hook(self, tag: str, measure: Callable[[Any], Any]) -> Callable[..., None]:
        """Return the forward hook that measures a layer's output."""

        def look(module: nn.Module, inputs: Any, output: Any) -> None:
            begun = perf_counter()
            few = None if tag in self._found else _few(output)
            if few is None:
                return
            if few.device.type == "cpu" and few.dtype in _NUMPYS:
                self._found[tag] = float(measure(few.numpy()).mean())
            else:
                self._found[tag] = measure(few).float().mean()
            self._watching.add("activations", perf_counter() - begun, inside=True)

        return look

    @property
    def fresh(self) -> bool:
        """Whether there is something to read."""
        return bool(self._found)

    def read(self) -> dict[str, float]:
        """Return the shares by tag, once, in one transfer from a GPU."""
        if not self._found:
            return {}
        found, self._found = self._found, {}
        tensors = {tag: share for tag, share in found.items() if isinstance(share, Tensor)}
        if tensors:
            read = torch.stack(list(tensors.values())).tolist()
            found.update(zip(tensors, read, strict=True))
        return {tag: float(share) for tag, share in found.items()}
