"""The small tasks that a learned optimizer is trained on: a distribution, drawn from by number."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy, mse_loss

from optbench.data.digits import digits
from optbench.data.hashing import mix64

Point = dict[str, Tensor]
FAMILIES = ("quadratic", "teacher", "digits")
ACTIVATIONS: tuple[type[nn.Module], ...] = (nn.ReLU, nn.Tanh, nn.GELU, nn.SiLU)
_WORD = 1 << 63


@dataclass(frozen=True)
class InnerTask:
    """Something to minimise.

    Attributes:
        name: in words.
        start: where it begins.
        loss: of a point, at a step, which says the examples: a pure function.
    """

    name: str
    start: Point
    loss: Callable[[Mapping[str, Tensor], int], Tensor]


def draw_task(families: tuple[str, ...], *numbers: int) -> InnerTask:
    """Return the task of a few numbers: a seed, a slot, how many came before in it."""
    generator = torch.Generator().manual_seed(mix64(*numbers) % _WORD)
    family = families[_whole(generator, 0, len(families) - 1)]
    if family == "quadratic":
        return _quadratic(generator)
    return _network(generator, mix64(*numbers, 1), on_digits=family == "digits")


def _quadratic(generator: torch.Generator) -> InnerTask:
    """Return 1/2 x' A x of 2 to 40 dimensions; A's condition is up to 1000, its axes are drawn."""
    size = _log_whole(generator, 2, 40)
    condition = _log(generator, 1, 1000)
    largest = _log(generator, 0.03, 30)
    spread = torch.rand(size, generator=generator)
    spread[0], spread[-1] = 0.0, 1.0
    values = largest * condition**-spread
    axes = torch.linalg.qr(torch.randn(size, size, generator=generator)).Q
    matrix = axes @ (values.unsqueeze(1) * axes.t())
    start = {"x": torch.randn(size, generator=generator) * _log(generator, 0.3, 3)}

    def loss(point: Mapping[str, Tensor], step: int) -> Tensor:
        found: Tensor = 0.5 * point["x"] @ matrix @ point["x"]
        return found

    return InnerTask(f"quadratic {size}, condition {condition:.0f}", start, loss)


def _network(generator: torch.Generator, key: int, on_digits: bool) -> InnerTask:
    """Return an MLP of random width, depth and activation, on digits or a random teacher's data."""
    inputs, targets, outputs = (_digits if on_digits else _taught)(generator)
    depth, width = _whole(generator, 1, 3), _log_whole(generator, 4, 48)
    activation = ACTIVATIONS[_whole(generator, 0, len(ACTIVATIONS) - 1)]
    batch = min(_log_whole(generator, 8, 128), len(inputs))
    network = _mlp([inputs.shape[1], *[width] * depth, outputs], activation)
    start = _drawn(network, generator)
    of_batch = mse_loss if targets.is_floating_point() else cross_entropy

    def loss(point: Mapping[str, Tensor], step: int) -> Tensor:
        picks = torch.Generator().manual_seed(mix64(key, step) % _WORD)
        rows = torch.randint(len(inputs), (batch,), generator=picks)
        return of_batch(functional_call(network, dict(point), inputs[rows]), targets[rows])

    data = "digits" if on_digits else "a teacher"
    return InnerTask(f"mlp {depth} x {width} {activation.__name__}, {data}", start, loss)


def _mlp(sizes: list[int], activation: type[nn.Module]) -> nn.Module:
    layers: list[nn.Module] = []
    with torch.device("meta"):  # weights are given with each call
        for fan_in, fan_out in pairwise(sizes):
            layers += [nn.Linear(fan_in, fan_out), activation()]
    return nn.Sequential(*layers[:-1])


def _drawn(network: nn.Module, generator: torch.Generator) -> Point:
    """Return weights as torch's `Linear` begins with, of this generator."""
    found = {}
    for name, parameter in network.named_parameters():
        fan_in = network.get_parameter(name.replace("bias", "weight")).shape[1]
        drawn = 2 * torch.rand(parameter.shape, generator=generator) - 1
        found[name] = drawn * fan_in**-0.5
    return found


def _digits(generator: torch.Generator) -> tuple[Tensor, Tensor, int]:
    """Return 2 to 10 of the digits, 100 of their training images or more."""
    images, labels = _all_digits()
    kinds = torch.randperm(10, generator=generator)[: _whole(generator, 2, 10)]
    rows = torch.isin(labels, kinds).nonzero().squeeze(1)
    rows = rows[torch.randperm(len(rows), generator=generator)]
    rows = rows[: _log_whole(generator, 100, 1400)]
    numbers = torch.zeros(10, dtype=torch.long)
    numbers[kinds] = torch.arange(len(kinds))
    return images[rows], numbers[labels[rows]], len(kinds)


@cache
def _all_digits() -> tuple[Tensor, Tensor]:
    source = digits(mean=[0.3], std=[0.38]).open("train", torch.device("cpu"))
    every = torch.arange(len(source))
    ((images, labels),) = source.stream(every, [(0, len(every))])
    return images.flatten(1), labels


def _taught(generator: torch.Generator) -> tuple[Tensor, Tensor, int]:
    """Return what a random network says of normal inputs: numbers, or the largest one's place."""
    size, hidden, outputs = (_log_whole(generator, low, 32) for low in (3, 4, 2))
    count = _log_whole(generator, 100, 2000)
    inputs = torch.randn(count, size, generator=generator)
    first = torch.randn(size, hidden, generator=generator) * size**-0.5
    second = torch.randn(hidden, outputs, generator=generator) * hidden**-0.5
    said = (2 * inputs @ first).tanh() @ second
    if _whole(generator, 0, 1):
        return inputs, said.argmax(1), outputs
    return inputs, said + 0.05 * torch.randn(said.shape, generator=generator), outputs


def _uniform(generator: torch.Generator) -> float:
    return float(torch.rand((), generator=generator, dtype=torch.float64))


def _whole(generator: torch.Generator, low: int, high: int) -> int:
    return low + int(_uniform(generator) * (high - low + 1))


def _log(generator: torch.Generator, low: float, high: float) -> float:
    return float(low * (high / low) ** _uniform(generator))


def _log_whole(generator: torch.Generator, low: int, high: int) -> int:
    return min(high, math.floor(_log(generator, low, high + 1)))


def horizon(low: int, high: int, *numbers: int) -> int:
    """Return after how many steps a task is over: log-uniform, both ends in it."""
    generator = torch.Generator().manual_seed(mix64(*numbers, 2) % _WORD)
    return _log_whole(generator, low, high)
