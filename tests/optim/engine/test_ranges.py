"""What our rules refuse when they are made."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

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
from optbench.optim.first_order.nag import NAG
from optbench.optim.first_order.rmsprop_eps_inside import RMSpropEpsInside

NAN = float("nan")
SMALL: list[Any] = [AdaBelief, AdaBound, AMSBound, AdagradEpsInside, Adan, AMSGrad, LAMB]
SMALL += [RMSpropEpsInside]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lr": -1.0}, "lr must be at least 0"),
        ({"weight_decay": -1.0}, "weight_decay must be at least 0"),
        ({"betas": (0.9, 1.0)}, r"beta2 must be in \[0, 1\)"),
        ({"implementation": "fused"}, "implementation=fused: Lion has loop, foreach, compiled"),
    ],
)
def test_what_is_out_of_range_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Lion([nn.Parameter(torch.ones(2))], **settings)


def test_complex_parameters_are_refused() -> None:
    with pytest.raises(ValueError, match="complex parameter"):
        Lion([nn.Parameter(torch.ones(2, dtype=torch.complex64))])


@pytest.mark.parametrize("value", [-0.1, 1.0, NAN])
@pytest.mark.parametrize("cls", [HeavyBall, LARS, Momentum, NAG])
def test_momentum_that_never_ends_is_refused(cls: Any, value: float) -> None:
    with pytest.raises(ValueError, match=rf"momentum must be in \[0, 1\), got {value}"):
        cls([nn.Parameter(torch.ones(2))], momentum=value)


@pytest.mark.parametrize("value", [-1e-8, NAN])
@pytest.mark.parametrize("cls", SMALL)
def test_an_eps_below_0_is_refused(cls: Any, value: float) -> None:
    with pytest.raises(ValueError, match=f"eps must be at least 0, got {value}"):
        cls([nn.Parameter(torch.ones(2))], eps=value)


def test_other_ranges() -> None:
    weights = [nn.Parameter(torch.ones(2))]
    with pytest.raises(ValueError, match="initial_accumulator_value must be at least 0, got -1"):
        AdagradEpsInside(weights, initial_accumulator_value=-1.0)
    with pytest.raises(ValueError, match=r"alpha must be in \[0, 1\), got 1.5"):
        RMSpropEpsInside(weights, alpha=1.5)
    with pytest.raises(ValueError, match="gamma must be above 0, got 0"):
        AdaBound(weights, gamma=0)
    with pytest.raises(ValueError, match="trust_coefficient must be above 0, got 0"):
        LARS([{"params": weights, "trust_coefficient": 0}])


@pytest.mark.parametrize("cls", [torch.optim.SGD, Lion])
def test_a_set_of_parameters_has_no_order(cls: Any) -> None:
    with pytest.raises(TypeError, match="order"):
        cls([{"params": {nn.Parameter(torch.ones(2))}}], lr=0.1)
