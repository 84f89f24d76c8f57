"""All that an optimizer keeps, wherever it keeps it, survives a file."""

from __future__ import annotations

import io
from collections import deque
from typing import Any

import pytest
import torch
from torch import nn

from optbench.optim.exact_state import (
    attributes,
    changed,
    exact_state,
    load_exactly,
    set_attributes,
)


class Memory:
    """An object in the state."""

    def __init__(self) -> None:
        self.seen = torch.zeros(2)
        self.kind = max


class Odd(torch.optim.Optimizer):
    """Keeps state in queues, objects, attributes, a generator, and beside functions."""

    def __init__(self, params: Any, lr: float = 0.1) -> None:
        super().__init__(params, {"lr": lr, "clip": lambda x: x, "dtype": torch.bfloat16})
        self.taken, self.scale = 0, torch.ones(1)
        self.generator = torch.Generator().manual_seed(1)
        self.weights = [p for group in self.param_groups for p in group["params"]]
        self.fixed = 0.5

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        self.taken += 1
        self.scale *= 0.9
        for p in self.weights:
            state = self.state[p]
            if not state:
                state |= {"old": deque(maxlen=3), "memory": Memory(), "half": p.bfloat16()}
                state["counts"] = [torch.zeros(2, dtype=torch.int64)]
            state["old"].append(p.grad.clone())
            state["memory"].seen += p.grad.sum()
            state["half"] += 1
            state["counts"][0] += 1
            noise = torch.rand(p.shape, generator=self.generator)
            total = sum(state["old"]) + state["memory"].seen.sum() + state["half"].float()
            p -= self.param_groups[0]["lr"] * self.scale * (total + noise) / self.taken


def walk(layer: nn.Module, optimizer: Odd, steps: int) -> None:
    for number in range(steps):
        for p in layer.parameters():
            p.grad = torch.full_like(p, 0.1 * number + 0.01 * optimizer.taken)
        optimizer.step()


def through_a_file(state: Any) -> Any:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def made() -> tuple[nn.Linear, Odd]:
    torch.manual_seed(0)
    layer = nn.Linear(2, 2)
    return layer, Odd(layer.parameters())


def test_all_of_it_goes_on_bit_for_bit() -> None:
    (layer, optimizer), (other, fresh) = made(), made()
    new = attributes(optimizer)
    walk(layer, optimizer, 5)
    state = through_a_file([exact_state(optimizer), changed(attributes(optimizer), new)])
    other.load_state_dict(layer.state_dict())
    load_exactly(fresh, state[0])
    set_attributes(fresh, new)
    set_attributes(fresh, state[1])
    assert all(map(torch.equal, layer.parameters(), other.parameters()))
    walk(layer, optimizer, 4)
    walk(other, fresh, 4)
    assert all(map(torch.equal, layer.parameters(), other.parameters()))
    own = fresh.state[fresh.weights[0]]
    assert own["old"].maxlen == 3
    assert own["half"].dtype == torch.bfloat16
    assert own["counts"][0].tolist() == [9, 9] and own["counts"][0].dtype == torch.int64
    assert fresh.param_groups[0]["clip"](3) == 3
    assert fresh.weights[0] is other.weight


def test_only_attributes_that_change_are_saved() -> None:
    layer, optimizer = made()
    new = attributes(optimizer)
    assert changed(attributes(optimizer), new) == [{}]
    walk(layer, optimizer, 1)
    (own,) = changed(attributes(optimizer), new)
    assert set(own) == {"taken", "scale", "generator"}
    sgd = torch.optim.SGD(layer.parameters(), lr=0.1, momentum=0.9)
    assert changed(attributes(sgd), attributes(sgd)) == [{}]


def test_attributes_stay_on_the_device_where_they_are() -> None:
    """`meta` stands for a GPU."""
    _, optimizer = made()
    optimizer.scale = torch.ones(1, device="meta")
    optimizer.parts = [torch.ones(1, device="meta")]  # type: ignore[attr-defined]
    saved = {"scale": torch.ones(1), "parts": [torch.ones(1), torch.ones(2)], "taken": 3}
    set_attributes(optimizer, [saved])
    assert optimizer.scale.device.type == "meta" and optimizer.taken == 3
    assert optimizer.parts[0].device.type == "meta"  # type: ignore[attr-defined]
    assert optimizer.parts[1].device.type == "cpu"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "state", [torch.zeros(1), torch.zeros(1).expand(3), torch.zeros(3, dtype=torch.float64)]
)
def test_a_fused_kernels_state_has_the_shape_of_its_parameter(state: torch.Tensor) -> None:
    """The kernel looks at no shape, and would read beyond it."""
    parameter = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.AdamW([parameter], fused=True)
    parameter.grad = torch.ones(3)
    optimizer.step()
    saved = exact_state(optimizer)
    load_exactly(optimizer, saved)
    saved["state"][0]["exp_avg"] = state
    with pytest.raises(ValueError, match="exp_avg does not have the shape"):
        load_exactly(optimizer, saved)
