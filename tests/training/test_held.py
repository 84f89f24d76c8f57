"""Which optimizers have their numbers in tensors, and which can't; and why steps stay in pieces."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from optbench.assemble.steps import ways_of
from optbench.optim.combined import Combined
from optbench.optim.first_order.lion import Lion
from optbench.training.graph.held import Held, hold
from optbench.training.graph.why_in_pieces import held_or_why

from .experiments import experiment

REASONS = {
    "optimizer=muon": "torch's Muon is not capturable",
    "optimizer=lbfgs": "LBFGS evaluates the loss itself",
    "optimizer=sophia": "Sophia evaluates the loss itself",
    "wrapper=sam": "SAM evaluates the loss itself",
    "wrapper=lookahead": "nobody knows which numbers of its own Lookahead goes by",
    "optimizer=schedulefree": "nobody knows which numbers of its own AdamWScheduleFree goes by",
    "optimizer=learned": "nobody knows which numbers of its own Learned goes by",
    "optimizer=progressive": "Progressive has parameters rest",
    "optimizer=sgd optimizer.implementation=loop": (
        "torch's SGD reads lr on the host when it is loop"
    ),
    "optimizer=sgd optimizer.decay=decoupled": (
        "optimizer.decay has SGD take numbers of the host before its step"
    ),
    "optimizer=adamw weight_decay_schedule={schedule:cosine,to:0.1}": (
        "torch's AdamW is given what is scheduled beside lr as numbers of the host"
    ),
    "schedule=hypergradient": "a schedule looks at the gradients of each step",
    "precision=fp16": "a gradient scaler decides on the host which steps count",
    "nonfinite=skip": "nonfinite=skip decides on the host which steps count",
    "compile=true": "compile=true has kernels of its own, which are not tried in a graph",
}


@pytest.mark.parametrize("lines", REASONS)
def test_what_can_not_be_noted_says_why(lines: str) -> None:
    made = experiment("steps=5", *lines.split())
    assert held_or_why(made.state, ways_of(made.config)) == REASONS[lines]


@pytest.mark.parametrize(
    "lines",
    [
        "optimizer=adamw schedule=cosine",
        "optimizer=lion weight_decay_schedule={schedule:cosine,to:0.1}",
        "optimizer=momentum schedule=one_cycle",
    ],
)
def test_what_can_be_is_held(lines: str) -> None:
    made = experiment("steps=5", *lines.split())
    assert not isinstance(held_or_why(made.state, ways_of(made.config)), str)


def a_parameter(**how: Any) -> nn.Parameter:
    parameter = nn.Parameter(torch.ones(3, **how))
    parameter.grad = torch.ones_like(parameter)
    return parameter


def held_of(optimizer: torch.optim.Optimizer) -> Held:
    held = hold(optimizer)
    assert not isinstance(held, str)
    return held


def test_of_several_none_counts_before_all_are_ready() -> None:
    first = Lion([a_parameter()], lr=0.1, weight_decay=0.1)
    second = Lion([a_parameter()], lr=0.1, weight_decay=0.1)
    both = Combined([first, second])
    held = held_of(both)
    with held.standing():
        both.step()
    assert held.is_ready()
    second.param_groups[0]["weight_decay"] = 0.0
    assert not held.is_ready()
    counts = [float(state["step"]) for each in (first, second) for state in each.state.values()]
    assert counts == [1, 1]
    second.param_groups[0]["weight_decay"] = 0.2
    assert held.is_ready()
    held.advance()
    counts = [float(state["step"]) for each in (first, second) for state in each.state.values()]
    assert counts == [2, 2]


def test_groups_have_their_numbers_outside_of_a_step() -> None:
    parameter = a_parameter()
    optimizer = torch.optim.AdamW([parameter], lr=0.125, fused=True)
    held = held_of(optimizer)
    with held.standing():
        (group,) = optimizer.param_groups
        assert isinstance(group["lr"], torch.Tensor) and float(group["lr"]) == 0.125
        assert group["capturable"]
    assert group["lr"] == 0.125 and type(group["lr"]) is float and not group["capturable"]
    lion = Lion([parameter])
    with held_of(lion).standing():
        assert "held" in vars(lion)
    assert "held" not in vars(lion)


def test_counts_of_a_run_without_graphs_come_to_the_device() -> None:
    """torch loads them as the host's where an optimizer is not capturable."""
    parameter = a_parameter(device="meta")
    optimizer = torch.optim.Adamax([parameter])
    optimizer.state[parameter] = {"step": torch.tensor(3.0)}
    with held_of(optimizer).standing():
        assert optimizer.state[parameter]["step"].device.type == "meta"
