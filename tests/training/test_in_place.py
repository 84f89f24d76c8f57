"""Operations that write over what nobody else reads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

from optbench.training.together import in_place as module
from optbench.training.together.in_place import in_place
from optbench.training.together.lighter import lighter

Function = Callable[[Tensor, Tensor], Any]


def backward(gradient: Tensor, like: Tensor) -> Tensor:
    return torch.ops.aten.threshold_backward.default(gradient, like, 0)


def layer(x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """A hidden layer, and the gradient of what goes into it."""
    hidden = torch.bmm(x, weight).relu()
    return hidden, backward(torch.bmm(x.cos(), weight), hidden)


def asked_before(x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    product = torch.bmm(x, weight)
    return product.sum(), product.relu()


def asked_afterwards(x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    product = torch.bmm(x, weight)
    return product.relu(), product.exp()


def given(x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    gradient = torch.bmm(x, weight)
    return gradient, backward(gradient, torch.bmm(x, weight.sin()))


def of_inputs(x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    return x.relu(), backward(x, torch.bmm(x, weight)[..., : x.shape[2]])


def of_views(x: Tensor, weight: Tensor) -> Tensor:
    return torch.bmm(x, weight).transpose(1, 2).relu()


def of_itself(x: Tensor, weight: Tensor) -> Tensor:
    product = torch.bmm(x, weight)
    return backward(product, product)


@pytest.mark.parametrize(
    ("function", "times"),
    [
        (layer, 2),
        (asked_before, 0),
        (asked_afterwards, 0),
        (given, 0),
        (of_inputs, 0),
        (of_views, 0),
        (of_itself, 0),
    ],
)
def test_only_what_nobody_else_reads_is_written_over(
    function: Function, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the same bits come of it."""
    x, weight = torch.randn(3, 8, 6), torch.randn(3, 6, 20)
    before = x.clone(), weight.clone()
    written = lighter(make_fx(function, tracing_mode="fake")(x, weight))
    monkeypatch.setattr(module, "FRESH", ())
    plain = lighter(make_fx(function, tracing_mode="fake")(x, weight))
    assert written.code.count("relu_") + written.code.count("grad_input = ") == times
    assert "relu_" not in plain.code and "grad_input = " not in plain.code
    for _ in range(2):
        for one, other in zip(written(x, weight), plain(x, weight), strict=True):
            assert torch.equal(one, other)
    assert torch.equal(x, before[0]) and torch.equal(weight, before[1])


def test_the_order_of_operations_stays() -> None:
    x, weight = torch.randn(3, 8, 6), torch.randn(3, 6, 20)
    graph = make_fx(layer, tracing_mode="fake")(x, weight)
    names = [node.name for node in graph.graph.nodes]
    in_place(graph.graph)
    assert [node.name for node in graph.graph.nodes] == names
