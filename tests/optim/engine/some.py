"""A few rules, parameters of many shapes, and a walk of them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from optbench.optim.engine.rule_optimizer import RuleOptimizer
from optbench.optim.first_order.adan import Adan
from optbench.optim.first_order.amsgrad import AMSGrad
from optbench.optim.first_order.lamb import LAMB
from optbench.optim.first_order.lars import LARS
from optbench.optim.first_order.lion import Lion
from optbench.optim.first_order.momentum import Momentum

SOME: list[type[RuleOptimizer]] = [AMSGrad, Adan, LAMB, LARS, Lion, Momentum]


def weights(dtype: torch.dtype = torch.float64) -> list[nn.Parameter]:
    """Of many shapes: a matrix, an image kernel in channels_last, a vector, a number, nothing."""
    generator = torch.Generator().manual_seed(0)
    shapes = [(7, 9), (4, 3, 5, 5), (11,), (), (0, 3)]
    made = [torch.randn(s, generator=generator, dtype=torch.float64).to(dtype) for s in shapes]
    made[1] = made[1].to(memory_format=torch.channels_last)
    return [nn.Parameter(tensor) for tensor in made]


def walk(optimizer: Any, parameters: list[nn.Parameter], steps: int, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        for parameter in parameters:
            draw = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.grad = draw.to(parameter.dtype) + parameter.detach()
        optimizer.step()
    return torch.cat([p.detach().double().flatten() for p in parameters])


def made(cls: Any, parameters: Any, **settings: Any) -> Any:
    return cls(parameters, lr=0.01, weight_decay=0.1, **settings)


def stacked(values: list[Any], shape: tuple[int, ...]) -> Any:
    """A tensor with one value for each member, of a tuple one for each place."""
    if isinstance(values[0], tuple):
        return tuple(stacked(list(column), shape) for column in zip(*values, strict=True))
    return torch.tensor(values, dtype=torch.float64).reshape(shape)
