"""Dead and saturated units, counted in some forward passes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from optbench.monitor.activations import MOST, ActivationWatch


def test_due_follows_from_the_step_alone() -> None:
    watch = ActivationWatch(nn.Sequential(nn.ReLU()), every=10)
    looked = [step for step in range(10, 1000, 10) if watch.due(step)]
    assert looked == [10, 20, 50, 100, 200, 300, 600, 900]
    assert not ActivationWatch(nn.Linear(2, 2), every=10).due(10)
    assert not ActivationWatch(nn.ReLU(), every=0).due(10)


@pytest.mark.parametrize(
    "shape", [(8, 6), (8, 6, 4, 4), (8, 5, 6)], ids=["vectors", "images", "sequences"]
)
def test_units_that_are_0_for_all_examples(shape: tuple[int, ...]) -> None:
    unit = 1 if len(shape) > 3 else len(shape) - 1
    inputs = torch.rand(shape) + 0.1
    inputs.select(unit, 0).neg_()
    inputs.select(unit, 3).zero_()
    inputs[0] = -1  # one example tells nothing
    assert seen(nn.Sequential(nn.ReLU()), inputs) == {"dead_units/0": pytest.approx(2 / 6)}


def test_outputs_at_an_end_of_their_range() -> None:
    inputs = torch.tensor([[0.0, 5.0, -5.0, 1.0]])
    assert seen(nn.Tanh(), inputs) == {"saturated/model": 0.5}
    assert seen(nn.Sigmoid(), inputs) == {"saturated/model": 0.0}
    assert seen(nn.Sigmoid(), 2 * inputs) == {"saturated/model": 0.5}


@pytest.mark.parametrize("kind", ["tanh", "relu"])
def test_a_recurrent_layer(kind: str) -> None:
    layer = nn.RNN(3, 4, nonlinearity=kind, batch_first=True)
    tag = {"tanh": "saturated/model", "relu": "dead_units/model"}[kind]
    assert set(seen(layer, torch.randn(2, 5, 3))) == {tag}


def test_a_large_output_is_looked_at_in_part_and_nothing_stays() -> None:
    module = nn.Sequential(nn.ReLU(), nn.Flatten(), nn.ReLU())
    inputs = torch.ones(8, MOST // 4)
    inputs[1::2] = -1  # half of the examples are left out
    assert seen(module, inputs) == {"dead_units/0": 0.0, "dead_units/2": 0.0}
    assert not any(layer._forward_hooks for layer in module.modules())


def test_the_pass_is_as_without_looking() -> None:
    torch.manual_seed(0)
    module, inputs = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 1)), torch.randn(3, 4)
    module(inputs).sum().backward()
    expected = [parameter.grad.clone() for parameter in module.parameters()]  # type: ignore[union-attr]
    module.zero_grad()
    watch = ActivationWatch(module, 1)
    state = torch.get_rng_state()
    with watch.looking():
        module(inputs).sum().backward()
    assert torch.equal(torch.get_rng_state(), state)
    for parameter, gradient in zip(module.parameters(), expected, strict=True):
        assert torch.equal(parameter.grad, gradient)  # type: ignore[arg-type]


def seen(module: nn.Module, inputs: torch.Tensor) -> dict[str, float]:
    watch = ActivationWatch(module, every=1)
    with watch.looking():
        module(inputs)
        module(torch.zeros_like(inputs))  # a second pass counts no more
    found = watch.read()
    assert watch.read() == {}
    return found
