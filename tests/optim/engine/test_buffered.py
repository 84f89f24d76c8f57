"""optbench.optim.engine.buffered"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from optbench.optim.engine.buffered import KEPT, Buffered, Buffers
from optbench.optim.engine.tensor_list import TensorList

OPERATIONS: list[Callable[[Any, Any], Any]] = [
    lambda a, b: a + b,
    lambda a, b: 2.0 + a,
    lambda a, b: a - b,
    lambda a, b: 2.0 - a,
    lambda a, b: a * b,
    lambda a, b: a * torch.tensor(3.0),
    lambda a, b: a / b,
    lambda a, b: -a,
    lambda a, b: a.add(b, alpha=0.5),
    lambda a, b: a.add_(b, alpha=0.5),
    lambda a, b: a.sub_(b),
    lambda a, b: a.mul_(b),
    lambda a, b: a.div_(b),
    lambda a, b: a.lerp(b, 0.25),
    lambda a, b: a.lerp_(b, 0.25),
    lambda a, b: a.addcmul_(b, b, value=0.5),
    lambda a, b: a.addcdiv_(b, b + 1.0, value=0.5),
    lambda a, b: a.copy_(b),
    lambda a, b: a.sqrt(),
    lambda a, b: a.rsqrt_(),
    lambda a, b: a.reciprocal_(),
    lambda a, b: (a - 1.0).sign_(),
    lambda a, b: a.clamp_min_(1.0),
    lambda a, b: a.clamp_(0.5, 1.5),
    lambda a, b: (a * b + b * a).sqrt() / (a - b * 3.0),
]


def pair(size: int = 6) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.rand(size, generator=generator) + 0.5 for _ in range(2))
    return a, b


@pytest.mark.parametrize("size", [6, 4], ids=["as long as a buffer", "shorter"])
@pytest.mark.parametrize("number", range(len(OPERATIONS)))
def test_the_same_as_tensors(number: int, size: int) -> None:
    operation = OPERATIONS[number]
    expected = operation(*pair(size))
    a, b = pair(size)
    buffers = Buffers(a, 6)
    found = operation(Buffered(a, buffers), Buffered(b, buffers))
    assert torch.allclose(found.tensor, expected, rtol=1e-6)
    listed = operation(TensorList([pair(size)[0]] * 1), TensorList([b.clone()]))
    assert torch.allclose(listed.tensors[0], expected, rtol=1e-6)


def test_maximum_norm_and_division_into_memory() -> None:
    a, b = pair()
    buffers = Buffers(a, 6)
    assert float(Buffered(a, buffers).norm()) == pytest.approx(float(a.norm()))
    expected = torch.maximum(a, b)
    assert torch.equal(Buffered(a.clone(), buffers).maximum_(Buffered(b, buffers)).tensor, expected)
    into = Buffered(b.clone(), buffers)
    assert into.becomes_quotient_of(Buffered(a, buffers)) is into
    assert torch.equal(into.tensor, a / b)


def test_a_buffer_is_used_again_when_its_result_is_forgotten() -> None:
    a, b = pair()
    buffers = Buffers(a, 6)
    one, other = Buffered(a, buffers), Buffered(b, buffers)
    kept = one * other
    before = kept.tensor.clone()
    places = {(one + other).tensor.data_ptr() for _ in range(5)}
    assert len(places) == 1 and kept.tensor.data_ptr() not in places
    assert torch.equal(kept.tensor, before)
    assert len(buffers.free) == 1
    del kept
    assert len(buffers.free) == 2


def test_only_some_buffers_are_kept() -> None:
    buffers = Buffers(torch.ones(6), 6)
    one = Buffered(torch.ones(6), buffers)
    many = [one + 1.0 for _ in range(KEPT + 5)]
    assert len({result.tensor.data_ptr() for result in many}) == KEPT + 5
    many.clear()
    assert len(buffers.free) == KEPT


def test_operands_are_never_taken_for_buffers() -> None:
    a, b = pair()
    buffers = Buffers(a, 6)
    one = Buffered(a, buffers)
    one.add_(Buffered(b, buffers))
    del one
    assert buffers.free == []
