"""Products by OpenBLAS, and when it is asked for them."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx
from torch.testing import assert_close

from optbench.training.together import openblas
from optbench.training.together.lighter import lighter
from optbench.training.together.openblas import library, products, products_and_row

here = pytest.mark.skipif(
    library() is None, reason="another CPU than AMD's with AVX-512, or no scipy-openblas32"
)
MEMBERS = 5


def stack(kind: str, rows: int, columns: int, dtype: torch.dtype) -> Tensor:
    """Return matrices that lie in one of several ways."""
    if kind == "rows":
        return torch.randn(MEMBERS, rows, columns, dtype=dtype)
    if kind == "transposed":
        return torch.randn(MEMBERS, columns, rows, dtype=dtype).transpose(1, 2)
    if kind == "part":
        return torch.randn(MEMBERS, rows + 1, columns + 3, dtype=dtype)[:, 1:, 2:-1]
    if kind == "apart":
        return torch.randn(MEMBERS, rows, 2 * columns, dtype=dtype)[..., ::2]
    return torch.randn(rows, columns, dtype=dtype).expand(MEMBERS, rows, columns)


KINDS = ["rows", "transposed", "part", "apart", "one of all"]
SIZES = [(8, 6, 4), (64, 64, 100), (1, 7, 1), (3, 0, 2), (130, 300, 40)]


@here
@pytest.mark.parametrize("second", KINDS)
@pytest.mark.parametrize("first", KINDS)
def test_products_are_torchs(first: str, second: str) -> None:
    for (rows, inner, columns), dtype in product(SIZES, (torch.float32, torch.float64)):
        one, other = stack(first, rows, inner, dtype), stack(second, inner, columns, dtype)
        row = torch.randn(MEMBERS, 1, columns, dtype=dtype)
        found = [products(one, other), products_and_row(row, one, other)]
        expected = [torch.bmm(one, other), torch.baddbmm(row, one, other)]
        rounding = 4 * torch.finfo(dtype).eps * max(1, inner) ** 0.5
        for mine, torchs in zip(found, expected, strict=True):
            assert torch.allclose(mine, torchs, rtol=rounding, atol=4 * rounding)


@here
@pytest.mark.parametrize("sizes", [(8, 6, 4), (64, 64, 100), (130, 300, 40)])
def test_a_members_bits_are_its_own(sizes: tuple[int, int, int]) -> None:
    """Neither who else is there nor where it stands changes them, nor a neighbour's NaN."""
    rows, inner, columns = sizes
    one = torch.randn(MEMBERS, rows, inner)
    other = torch.randn(MEMBERS, columns, inner).transpose(1, 2)
    together = products(one, other)
    for member in range(MEMBERS):
        alone = products(one[member : member + 1].clone(), other[member : member + 1].clone())
        assert torch.equal(alone[0], together[member])
    one[2] = float("nan")
    after = products(one, other)
    others = [0, 1, 3, 4]
    assert torch.equal(after[others], together[others]) and after[2].isnan().all()


def linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """As `torch.nn.Linear` comes to by vmap, and a product of its own."""
    outputs = bias + torch.bmm(x, weight.transpose(1, 2))
    return torch.bmm(outputs.transpose(1, 2), x)


def noted(dtype: torch.dtype = torch.float32) -> tuple[Any, list[Tensor]]:
    tensors = [torch.randn(shape).to(dtype) for shape in ((3, 8, 6), (3, 20, 6), (3, 1, 20))]
    return lighter(make_fx(linear, tracing_mode="fake")(*tensors)), tensors


@pytest.fixture
def forgotten() -> Iterator[None]:
    """Which library there is is found anew, before and after."""
    library.cache_clear()
    yield
    library.cache_clear()


@pytest.fixture
def threads() -> Iterator[Any]:
    """What sets the number of threads; one to begin with."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield torch.set_num_threads
    torch.set_num_threads(before)


@here
@pytest.mark.usefixtures("threads")
def test_a_graph_asks_openblas_for_all_its_products() -> None:
    graph, tensors = noted()
    assert "aten.bmm" not in graph.code and "aten.baddbmm" not in graph.code
    assert_close(graph.forward(*tensors), linear(*tensors))


def gradients(x: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, ...]:
    """A loss, a weight's gradient, a product that something else asks for, and no product."""
    outputs = bias + torch.bmm(x, weight.transpose(1, 2))
    asked = torch.bmm(x.transpose(1, 2), x)
    own = torch.bmm(x.transpose(1, 2), outputs).transpose(1, 2)
    return asked.sum(), own, asked, outputs.sum(1, keepdim=True)


@here
@pytest.mark.usefixtures("threads")
def test_products_are_written_where_they_are_wanted() -> None:
    """Into rows of a larger tensor, of which nothing else changes."""
    tensors = [torch.randn(shape) for shape in ((3, 8, 6), (3, 20, 6), (3, 1, 20))]
    flat = torch.full((3, 200), 7.0)
    places = [flat[:, :120].view(3, 20, 6), flat[:, 120:156].view(3, 6, 6), flat[:, None, 156:176]]
    graph = lighter(make_fx(gradients, tracing_mode="fake")(*tensors), places)
    expected = gradients(*tensors)
    for _ in range(2):
        found = graph.forward(*tensors)
        assert_close(found, expected)
        there = [each is place for each, place in zip(found[1:], places, strict=True)]
        assert there == [True, False, False]
        assert_close(flat[:, :120].view(3, 20, 6), expected[1])
        assert bool((flat[:, 120:] == 7).all())


@here
def test_a_graph_asks_torch_where_openblas_can_not_or_loses(threads: Any) -> None:
    assert "aten.bmm" in noted(torch.bfloat16)[0].code
    threads(2)
    assert "aten.bmm" in noted()[0].code


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ("maker", lambda: "GenuineIntel"),
        ("find_spec", lambda name: None),
        ("find_spec", lambda name: ModuleSpec(name, None, origin="/nowhere/__init__.py")),
        ("KERNELS", "Haswell"),
    ],
)
@pytest.mark.usefixtures("forgotten", "threads")
def test_torch_multiplies_where_openblas_is_no_better(
    asked: str, says: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openblas, asked, says)
    graph, tensors = noted()
    assert "aten.bmm" in graph.code and "aten.baddbmm" in graph.code
    assert_close(graph.forward(*tensors), linear(*tensors))


@here
@pytest.mark.usefixtures("forgotten")
def test_somebody_elses_library_keeps_its_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it has other kernels than are wanted, so that it is not used."""
    package = find_spec(openblas.PACKAGE)
    assert package is not None and package.origin is not None
    loaded = ctypes.CDLL(str(Path(package.origin).parent / openblas.LIBRARY))
    monkeypatch.setattr(openblas, "KERNELS", "Haswell")
    loaded.scipy_openblas_set_num_threads(2)
    try:
        assert library() is None and loaded.scipy_openblas_get_num_threads() == 2
    finally:
        loaded.scipy_openblas_set_num_threads(1)


@pytest.mark.usefixtures("forgotten")
def test_torch_multiplies_on_cpus_without_wide_vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    assert library() is None


@pytest.mark.usefixtures("forgotten")
def test_nothing_is_left_of_what_openblas_is_loaded_with(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is anything else gone meanwhile, or lost of what others set."""
    before, load, seen = dict(os.environ), ctypes.CDLL, []
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "7")

    def loading(path: str) -> ctypes.CDLL:
        seen.append(dict(os.environ))
        os.environ["SET_MEANWHILE"] = "1"
        return load(path)

    monkeypatch.setattr(ctypes, "CDLL", loading)
    library()
    now = {**before, "OPENBLAS_NUM_THREADS": "7"}
    if seen:
        wanted = {"OPENBLAS_CORETYPE": openblas.KERNELS, "OPENBLAS_NUM_THREADS": "1"}
        assert seen == [{**now, **wanted}]
        assert os.environ.pop("SET_MEANWHILE") == "1"
    assert dict(os.environ) == now


def test_matrices_beyond_a_c_int_are_torchs(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenBLAS would read memory that is nobody's."""
    monkeypatch.setattr(openblas, "is_faster", lambda: True)

    def bmm(x: Tensor, y: Tensor) -> Tensor:
        return torch.bmm(x, y)

    with FakeTensorMode():
        far = torch.empty(2**31 + 40).as_strided((2, 4, 4), (2**31, 4, 1))
        near = torch.empty(2, 4, 4)
        assert "aten.bmm" in lighter(make_fx(bmm)(far, near)).code
        assert "aten.bmm" in lighter(make_fx(bmm)(near, far)).code
        assert "aten.bmm" not in lighter(make_fx(bmm)(near, near)).code
