"""optbench.training.together.repeats: fewer operations, the same bits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

from optbench.training.together.repeats import without_repeats


def twice(x: Tensor) -> tuple[Tensor, ...]:
    return ((x != 0).float().sum(), (x != 0).float().mean())


def nothing(x: Tensor) -> tuple[Tensor, ...]:
    y = x.exp()
    return (y.expand(2, 3).view(2, 3).mT.mT * 2 + y.view(6).view(2, 3),)


def numbers(x: Tensor) -> tuple[Tensor, ...]:
    """Numbers that are equal to Python, but not to torch."""
    return (torch.full((2,), 1), torch.full((2,), 1.0), torch.full((2,), True), x.sum())


def turned(x: Tensor) -> tuple[Tensor, ...]:
    y = x[None].exp()
    return (y.transpose(0, 1).transpose(1, 2).contiguous(), y.transpose(1, 2).transpose(2, 1) + 0)


def itself(x: Tensor) -> tuple[Tensor, ...]:
    return (x.view(2, 3), x.expand(2, 3), x + 1)


@pytest.mark.parametrize(
    ("function", "fewer"), [(twice, True), (nothing, True), (numbers, False), (turned, True)]
)
def test_a_graph_gives_the_same_with_fewer_operations(
    function: Callable[..., Any], fewer: bool
) -> None:
    x = torch.tensor([[0.0, 1.0, -2.0], [0.5, float("nan"), float("inf")]])
    module = make_fx(function)(x)
    before, expected = len(module.graph.nodes), module(x)
    without_repeats(module.graph)
    module.recompile()
    found = module(x)
    assert (len(module.graph.nodes) < before) == fewer
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.dtype == theirs.dtype and ours.stride() == theirs.stride()
        assert torch.equal(ours.nan_to_num(7.0), theirs.nan_to_num(7.0))


def test_an_argument_is_not_given_itself() -> None:
    """Whoever takes what is given may hold it while the argument changes."""
    x = torch.zeros(2, 3)
    module = make_fx(itself)(x)
    without_repeats(module.graph)
    (output,) = (node for node in module.graph.nodes if node.op == "output")
    given = [*output.all_input_nodes]
    assert given and all(node.op == "call_function" for node in given)
