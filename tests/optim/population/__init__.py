"""Gradient-free optimizers, and what they are tried on."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from optbench.optim.population.base import Population

POPULATION = ("cma_es", "es", "ga", "pso")
"""YAMLs, whose rows are in this folder."""

Plan = namedtuple("Plan", "way chunk still")


class Objective:
    """A function of the parameters as an objective, one point after the other.

    Args:
        parameters: it is a function of.
        value: of points [K, n], float64.
        chunk: points at once.
        still: whether a forward pass moves nothing.
    """

    def __init__(
        self,
        parameters: Sequence[Tensor],
        value: Callable[[Tensor], Tensor],
        chunk: int = 100,
        still: bool = False,
    ) -> None:
        self.parameters, self.value = list(parameters), value
        self.chunk, self.still = chunk, still
        self.asked: list[Tensor] = []
        self.known: list[Tensor | None] = []

    def plan(self, count: int, parameters: Sequence[Tensor], way: str | None) -> Plan:
        return Plan("loop", min(count, self.chunk), self.still)

    def losses(self, stacked: Sequence[Tensor], way: str, parameters: Sequence[Tensor]) -> Tensor:
        assert all(a is b for a, b in zip(parameters, self.parameters, strict=True))
        points = torch.cat([each.flatten(1) for each in stacked], dim=1)
        assert way == "loop" and len(points) <= self.chunk
        self.asked.append(points.clone())
        return self.value(points.double())

    def forward(self, known: Tensor | None = None) -> Tensor:
        assert known is None or self.still
        self.known.append(known)
        here = torch.cat([p.detach().flatten() for p in self.parameters])
        return self.value(here[None].double())[0] if known is None else known


def sphere(points: Tensor) -> Tensor:
    return points.square().sum(dim=1)


def ellipsoid(points: Tensor) -> Tensor:
    scales = torch.logspace(0, 4, points.shape[1], dtype=points.dtype)
    return (points.square() * scales).sum(dim=1)


def at(*numbers: float, dtype: torch.dtype = torch.float64) -> nn.Parameter:
    return nn.Parameter(torch.tensor(numbers, dtype=dtype))


def walked(optimizer: Population, objective: Objective, steps: int) -> list[Tensor]:
    """The point after each step."""
    path = []
    for _ in range(steps):
        optimizer.step(objective)
        path.append(torch.cat([p.detach().flatten() for p in objective.parameters]))
    return path


def with_losses(closure: Any, module: nn.Module, loss: Callable[[], Tensor]) -> None:
    """Give a closure the methods that gradient-free optimizers ask."""

    def losses(stacked: Sequence[Tensor], way: str, parameters: Sequence[Tensor]) -> Tensor:
        kept = [p.detach().clone() for p in parameters]
        found = []
        for point in zip(*stacked, strict=True):
            put(parameters, point)
            found.append(loss())
        put(parameters, kept)
        return torch.stack(found)

    closure.losses, closure.forward = losses, lambda known=None: loss()
    closure.plan = lambda count, parameters, way: Plan("loop", count, False)


@torch.no_grad()
def put(parameters: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    for parameter, value in zip(parameters, values, strict=True):
        parameter.copy_(value)
