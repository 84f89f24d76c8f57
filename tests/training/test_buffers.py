"""optbench.training.buffers: what modules' buffers were before a forward pass."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from optbench.training.averaged import recalibrated
from optbench.training.buffers import Buffers


class Own(nn.Module):
    """Buffers of all kinds, one of them None and one in a module that has two names."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.ones(3))
        self.register_buffer("count", torch.tensor(1))
        self.register_buffer("small", torch.ones(2, dtype=torch.float16), persistent=False)
        self.register_buffer("later", None)
        self.one = self.other = nn.BatchNorm1d(3)

    def forward(self, inputs: Tensor) -> Tensor:
        self.mean = 0.5 * self.mean + inputs.mean(0)
        self.count += 1
        self.small.mul_(2)
        self.later = inputs.mean()
        result: Tensor = self.one(inputs)
        return result


def values(module: nn.Module) -> list[tuple[str, Any]]:
    return [(name, buffer.tolist()) for name, buffer in module.named_buffers()]


def test_all_are_put_back_also_those_that_are_assigned_anew() -> None:
    module = Own()
    buffers = Buffers.of_all([module])
    for _ in range(3):
        buffers.remember()
        before = values(module)
        module(torch.randn(4, 3))
        assert values(module) != before
        buffers.put_back()
        assert values(module) == before
        module(torch.randn(4, 3))


def test_they_are_copied_in_one_go_for_each_type(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[set[torch.dtype]] = []
    copy = torch._foreach_copy_

    def counted(into: list[Tensor], of: list[Tensor]) -> None:
        calls.append({tensor.dtype for tensor in [*into, *of]})
        copy(into, of)

    monkeypatch.setattr(torch, "_foreach_copy_", counted)
    Buffers.of_all([Own(), Own()]).remember()
    assert sorted(calls, key=str) == [{torch.float16}, {torch.float32}, {torch.int64}]


def test_statistics_that_are_assigned_anew_are_not_left_behind() -> None:
    class Norm(nn.BatchNorm1d):
        def forward(self, input: Tensor) -> Tensor:
            if self.training:
                self.running_mean = input.mean(0)
            return super().forward(input)

    norm = Norm(3).eval()
    with recalibrated(norm, lambda: norm(torch.full((4, 3), 5.0))):
        assert norm.running_mean is not None and norm.running_mean[0] > 0
    assert torch.equal(norm.running_mean, torch.zeros(3))
