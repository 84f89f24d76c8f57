"""Operations that are replaced by others that take less time."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.fx import GraphModule
from torch.fx.experimental.proxy_tensor import make_fx
from torch.testing import assert_close

from optbench.training.together import openblas
from optbench.training.together.lighter import lighter

MEMBERS, ROWS, INNER, FEW, MANY = 3, 8, 6, 4, 20


def linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """As `torch.nn.Linear` comes to by vmap."""
    return bias + torch.bmm(x, weight.transpose(1, 2))


def flattened(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return linear(x, weight, bias).relu().view(MEMBERS, -1)


def unbiased(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return torch.bmm(x, weight.transpose(1, 2)).exp()


def twice(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """A product with another use."""
    product = torch.bmm(x, weight.transpose(1, 2))
    return (bias + product) * product


def other_shape(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Rows of all members, and one bias."""
    product = torch.bmm(x, weight.transpose(1, 2)).view(1, -1, weight.shape[1])
    return bias[:1] + product


def normed(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """An operation that gives several tensors, before a product."""
    return linear(torch.nn.functional.layer_norm(x, x.shape[-1:]), weight, bias)


def noted(function: Callable[..., Tensor], width: int) -> tuple[GraphModule, list[Tensor]]:
    torch.manual_seed(0)
    shapes = [(MEMBERS, ROWS, INNER), (MEMBERS, width, INNER), (MEMBERS, 1, width)]
    tensors = [torch.randn(shape) for shape in shapes]
    return lighter(make_fx(function, tracing_mode="fake")(*tensors)), tensors


@pytest.fixture(autouse=True)
def torchs_products(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenBLAS's are in test_openblas.py."""
    monkeypatch.setattr(openblas, "library", lambda: None)


@pytest.mark.parametrize("width", [FEW, MANY])
@pytest.mark.parametrize("function", [linear, flattened, unbiased, twice, other_shape, normed])
def test_the_same_comes_of_a_product(function: Callable[..., Tensor], width: int) -> None:
    graph, tensors = noted(function, width)
    assert_close(graph.forward(*tensors), function(*tensors))


@pytest.mark.parametrize("width", [FEW, MANY])
def test_a_bias_is_added_within_the_product(width: int) -> None:
    graph, _ = noted(linear, width)
    assert "baddbmm" in graph.code and "aten.add" not in graph.code


@pytest.mark.parametrize("function", [linear, unbiased])
def test_few_numbers_in_a_row_are_computed_in_long_rows(function: Callable[..., Tensor]) -> None:
    """Of [rows, few] the transposed is made, [few, rows]; what has long rows stays as it is."""
    few, tensors = noted(function, FEW)
    assert few.forward(*tensors).stride() == (FEW * ROWS, 1, ROWS)
    many, tensors = noted(function, MANY)
    assert many.forward(*tensors).is_contiguous()
