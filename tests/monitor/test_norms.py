"""optbench.monitor.norms"""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from optbench.monitor.norms import PIECE, ROW, SMALL, Norms, snapshot
from optbench.monitor.updates import UpdateWatch

SIZES = [1, 5, ROW, ROW + 1, PIECE, PIECE + 1, 100_003, SMALL, SMALL + 1, 2_359_296]
KINDS: dict[str, Callable[[int], Tensor]] = {
    "drawn": torch.randn,
    "all alike": lambda size: torch.full((size,), 0.1),
    "from small to large": lambda size: torch.randn(size).mul(3).exp(),
    "one": lambda size: torch.zeros(size).index_fill(0, torch.tensor([size - 1]), 3.0),
}


def plainly(tensor: Tensor) -> float:
    return tensor.detach().double().norm().item()


def norms(tensors: list[Tensor]) -> Norms:
    return snapshot(tensors).norms(tensors)


def numbers(found: Norms) -> list[float]:
    return [float(norm) for norm in found]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", SIZES)
def test_a_norm_is_that_in_double_precision(size: int, kind: str) -> None:
    torch.manual_seed(0)
    tensor = KINDS[kind](size)
    (found,) = numbers(norms([tensor]))
    assert found == pytest.approx(plainly(tensor), rel=1e-6, abs=0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", SIZES)
def test_so_is_how_far_a_tensor_has_moved(size: int, kind: str) -> None:
    torch.manual_seed(0)
    old = torch.randn(size)
    new = old + 1e-3 * KINDS[kind](size)
    kept = snapshot([old])
    (was,) = numbers(kept.take([old]))
    (moved,) = numbers(kept.moved([new]))
    assert was == pytest.approx(plainly(old), rel=1e-6, abs=0)
    assert moved == pytest.approx(plainly(new.double() - old.double()), rel=1e-6, abs=0)


@pytest.mark.parametrize("size", [3, 5000])
@pytest.mark.parametrize("scale", [1e-40, 1e-25, 1e-20, 1e20, 1e30])
def test_squares_out_of_range(size: int, scale: float) -> None:
    torch.manual_seed(0)
    tensor = scale * torch.randn(size)
    kept = snapshot([tensor])
    found = [*norms([tensor]), *kept.take([tensor]), *kept.moved([2 * tensor])]
    assert numbers(found) == pytest.approx([plainly(tensor)] * 3, rel=1e-6, abs=0)


def test_nothing_and_what_is_not_finite() -> None:
    for size in (3, 5000):
        zeros, worst = torch.zeros(size), torch.ones(size)
        assert numbers(norms([zeros])) == [0.0]
        for bad in (math.nan, math.inf):
            worst[-1] = bad
            (found,) = numbers(norms([worst]))
            assert math.isnan(found) if math.isnan(bad) else found == math.inf


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_other_precisions_also_side_by_side(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    tensors = [torch.randn(size).to(dtype) for size in (7, 40, 3000)]
    tensors += [torch.randn(9), torch.randn(3000)]
    found = numbers(norms(tensors))
    kept = snapshot(tensors)
    was = numbers(kept.take(tensors))
    moved = numbers(kept.moved([2 * tensor for tensor in tensors]))
    for these in (found, was, moved):
        assert these == pytest.approx([plainly(tensor) for tensor in tensors], rel=1e-6)


@pytest.mark.parametrize("shape", [(4, 3, 5, 5), (64, 32, 3, 3)])
def test_tensors_that_lie_otherwise_in_memory(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    straight = torch.randn(shape)
    ways = [
        straight.to(memory_format=torch.channels_last),
        straight.transpose(0, 1),
        straight[:, ::2],
        straight[:1].expand(shape),
    ]
    for tensor in ways:
        kept = snapshot([tensor])
        (was,) = numbers(kept.take([tensor]))
        (moved,) = numbers(kept.moved([tensor * 3]))
        assert was == pytest.approx(plainly(tensor), rel=1e-6)
        assert moved == pytest.approx(2 * plainly(tensor), rel=1e-6)


def test_a_parameter_whose_tensor_was_exchanged_is_watched_on() -> None:
    """Some optimizers of others assign `parameter.data`."""
    parameter = nn.Parameter(torch.ones(2000))
    watch = UpdateWatch(["p"], [parameter])
    for _ in range(2):
        parameter.grad = torch.ones(2000)
        watch.see_gradients()
        watch.see_before()
        parameter.data = parameter.data * 0.5
        watch.see_after()
        assert watch.read()["update_ratio/p"] == pytest.approx(0.5)


def test_complex_numbers() -> None:
    torch.manual_seed(0)
    tensors = [torch.randn(size, dtype=torch.complex64) for size in (3, 5000)]
    expected = [tensor.to(torch.complex128).norm().item() for tensor in tensors]
    assert numbers(norms(tensors)) == pytest.approx(expected, rel=1e-6)


def test_what_was_infinite_and_is_again_moves_by_what_no_number_is() -> None:
    weights = [torch.tensor([1.0, math.inf]), torch.ones(3)]
    kept = snapshot(weights)
    kept.take(weights)
    first, second = numbers(kept.moved([weights[0], torch.zeros(3)]))
    assert math.isnan(first)
    assert second == pytest.approx(math.sqrt(3))


def test_small_and_large_tensors_side_by_side() -> None:
    torch.manual_seed(0)
    tensors = [torch.randn(size) for size in (SMALL + 1, 3, 2 * SMALL, 5000)]
    kept = snapshot(tensors)
    expected = [plainly(tensor) for tensor in tensors]
    assert numbers(kept.norms(tensors)) == pytest.approx(expected, rel=1e-6)
    assert numbers(kept.take(tensors)) == pytest.approx(expected, rel=1e-6)
    moved = kept.moved([tensor * 3 for tensor in tensors])
    assert numbers(moved) == pytest.approx([2 * norm for norm in expected], rel=1e-6)
