"""Small models in double precision, and what K-FAC makes of the gradients of their losses."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from training.objectives import EXAMPLES, Problem

from optbench.models.deepobs import net_2c2d
from optbench.models.mlp import MLP
from optbench.optim.second_order.kfac.kfac import KFAC
from optbench.optim.second_order.kfac.layers import layers
from optbench.tasks.classification import Classification

PLAIN: dict[str, Any] = {"lr": 1.0, "momentum": 0.0, "kl_clip": 0.0, "places": 0}
PLAIN |= {"factors_every": 1, "inverses_every": 1}
"""Settings with which a step is the preconditioned gradient."""


def mlp() -> Problem:
    torch.manual_seed(0)
    return classified(MLP(input_shape=(5,), num_classes=3, hidden=[4, 6], activation="tanh"), (5,))


def two_conv_two_dense() -> Problem:
    torch.manual_seed(0)
    return classified(net_2c2d(input_shape=(1, 8, 8), num_classes=3), (1, 8, 8))


def strided() -> Problem:
    torch.manual_seed(0)
    return classified(
        nn.Sequential(
            nn.Conv2d(2, 4, 3, stride=2, padding=1),
            nn.Tanh(),
            nn.Conv2d(4, 3, (2, 3), padding=(1, 0), dilation=(2, 1), bias=False),
            nn.Flatten(),
            nn.LazyLinear(3),
        ),
        (2, 9, 8),
    )


def classified(module: nn.Module, shape: tuple[int, ...]) -> Problem:
    inputs = torch.randn(EXAMPLES, *shape, dtype=torch.float64)
    module = module.double()
    module(inputs)
    return Problem(module, Classification(), inputs, torch.randint(3, (EXAMPLES,)))


def kfac(problem: Problem, **settings: Any) -> KFAC:
    given: dict[str, Any] = {**PLAIN, **settings}
    parameters = [p for layer in layers(problem.module) for p in layer.parameters]
    return KFAC(parameters, module=problem.module, **given)


def stepped(problem: Problem, optimizer: KFAC, accumulate: int = 1) -> tuple[list[Tensor], ...]:
    """The gradients of a step, and by what it moved the parameters, turned around."""
    objective = problem.objective(accumulate)
    before = [p.detach().clone() for p in problem.parameters]
    optimizer.step(objective)
    moved = [old - p.detach() for old, p in zip(before, problem.parameters, strict=True)]
    return [p.grad.clone() for p in problem.parameters if p.grad is not None], moved


def error(found: list[Tensor], wanted: list[Tensor]) -> float:
    """Relative, of all together."""
    off = sum(float((a - b).square().sum()) for a, b in zip(found, wanted, strict=True))
    size = sum(float(b.square().sum()) for b in wanted)
    return (off / size) ** 0.5
