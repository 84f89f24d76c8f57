"""optbench.optim.engine: many members with hyperparameters of their own, as one stack."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from optbench.optim.first_order.adabelief import AdaBelief
from optbench.optim.first_order.adabound import AdaBound, AMSBound
from optbench.optim.first_order.adagrad_eps_inside import AdagradEpsInside
from optbench.optim.first_order.adan import Adan
from optbench.optim.first_order.amsgrad import AMSGrad
from optbench.optim.first_order.heavy_ball import HeavyBall
from optbench.optim.first_order.lamb import LAMB
from optbench.optim.first_order.lars import LARS
from optbench.optim.first_order.lion import Lion
from optbench.optim.first_order.momentum import Momentum
from optbench.optim.first_order.rmsprop_eps_inside import RMSpropEpsInside

from .some import stacked

MEMBERS = 3
MOMENTS = {"betas": [(0.9, 0.99), (0.5, 0.9), (0.0, 0.999)]}
OWN: dict[Any, dict[str, list[Any]]] = {
    AdaBelief: {**MOMENTS, "eps": [1e-16, 1e-8, 1e-4]},
    AdaBound: {**MOMENTS, "final_lr": [0.1, 1.0, 0.5], "gamma": [1e-3, 0.1, 1.0]},
    AMSBound: {**MOMENTS, "final_lr": [0.1, 1.0, 0.5]},
    AdagradEpsInside: {"initial_accumulator_value": [0.0, 0.1, 1.0], "eps": [1e-8, 1e-4, 1e-2]},
    Adan: {"betas": [(0.98, 0.92, 0.99), (0.5, 0.8, 0.9), (0.9, 0.0, 0.9)]},
    AMSGrad: {**MOMENTS, "eps": [1e-8, 1e-4, 1e-2]},
    HeavyBall: {"momentum": [0.9, 0.5, 0.0]},
    LAMB: {**MOMENTS, "eps": [1e-6, 1e-4, 1e-2]},
    LARS: {"momentum": [0.9, 0.5, 0.0], "trust_coefficient": [1e-3, 1e-2, 0.1]},
    Lion: MOMENTS,
    Momentum: {"momentum": [0.9, 0.5, 0.0]},
    RMSpropEpsInside: {"alpha": [0.9, 0.99, 0.0], "eps": [1e-8, 1e-4, 1e-2]},
}
"""Each rule, and what its members have of their own besides lr and weight decay."""
BOTH = {"lr": [0.1, 0.01, 0.001], "weight_decay": [0.1, 0.0, 0.01]}


def shapes() -> list[Tensor]:
    """A matrix, a vector and a number."""
    return [
        torch.linspace(-1, 2, n).double().reshape(s) for n, s in ((12, (3, 4)), (5, 5), (1, ()))
    ]


def walk(optimizer: Any, parameters: list[nn.Parameter]) -> None:
    for step in range(3):
        for parameter in parameters:
            parameter.grad = (0.5 - step) * parameter.detach() + 0.1
        optimizer.step()


@pytest.mark.parametrize("shape", [(MEMBERS,), (MEMBERS, 1, 1)], ids=str)
@pytest.mark.parametrize("cls", OWN)
def test_each_member_goes_as_it_would_alone(
    cls: Callable[..., Any], shape: tuple[int, ...]
) -> None:
    every = {**BOTH, **OWN[cls]}
    alone = []
    for member in range(MEMBERS):
        parameters = [nn.Parameter(t) for t in shapes()]
        own = {name: values[member] for name, values in every.items()}
        walk(cls(parameters, implementation="loop", **own), parameters)
        alone.append(parameters)
    together = [nn.Parameter(torch.stack([t] * MEMBERS)) for t in shapes()]
    settings = {name: stacked(values, shape) for name, values in every.items()}
    group = {"params": together, "population": True}
    walk(cls([group], implementation="loop", **settings), together)
    for member, parameters in enumerate(alone):
        for one, other in zip(together, parameters, strict=True):
            assert torch.allclose(one[member], other, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("implementation", ["foreach", "compiled"])
def test_only_the_loop_has_populations(implementation: str) -> None:
    stack = nn.Parameter(torch.ones(3, 2))
    with pytest.raises(ValueError, match=f"implementation={implementation} has no populations"):
        Lion([{"params": [stack], "population": True}], implementation=implementation)
    with pytest.raises(ValueError, match="no populations, but lr is several"):
        Lion([stack], lr=torch.ones(3), implementation=implementation)  # type: ignore[arg-type]
    optimizer = Lion([stack], implementation=implementation)
    stack.grad = torch.ones_like(stack)
    optimizer.param_groups[0]["weight_decay"] = torch.ones(3)
    with pytest.raises(ValueError, match="no populations, but weight_decay is several"):
        optimizer.step()


def test_a_number_has_no_dimension_for_members() -> None:
    number = nn.Parameter(torch.tensor(1.0))
    with pytest.raises(ValueError, match="no dimension for members"):
        Lion([{"params": [number], "population": True}], implementation="loop")
