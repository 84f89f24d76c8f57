"""optbench.training.clipping against another library, and against the formulas."""

from __future__ import annotations

import pytest
import torch
from pytorch_optimizer.optimizer.agc import agc
from pytorch_optimizer.optimizer.gradient_centralization import centralize_gradient
from torch import Tensor, nn

from optbench.training.clipping import Clipping, centralize, clip_adaptively

SHAPES = [(4, 6), (3, 2, 5, 5), (7,), (1, 9)]


def parameters(scale: float = 1.0) -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    made = [nn.Parameter(torch.randn(shape, generator=generator).double()) for shape in SHAPES]
    for parameter in made:
        parameter.grad = torch.randn(parameter.shape, generator=generator).double() * scale
    return made


def gradients(some: list[nn.Parameter]) -> list[Tensor]:
    return [p.grad.clone() for p in some if p.grad is not None]


@pytest.mark.parametrize("factor", [0.01, 0.5, 100.0])
def test_adaptive_clipping_equals_another_librarys(factor: float) -> None:
    some = parameters()
    expected = [
        agc(p.detach(), g, agc_clip_val=factor) for p, g in zip(some, gradients(some), strict=True)
    ]
    for parameter in some:
        clip_adaptively(parameter, factor)
    for parameter, other in zip(some, expected, strict=True):
        if parameter.ndim > 1:  # theirs takes each entry of a vector for a unit
            assert torch.allclose(parameter.grad, other, rtol=1e-6)


def test_adaptive_clipping_moves_weights_that_are_zero() -> None:
    weight = nn.Parameter(torch.zeros(3, 4))
    weight.grad = torch.ones(3, 4)
    clip_adaptively(weight, 0.1)
    assert torch.allclose(weight.grad.norm(dim=1), torch.full((3,), 1e-4))


def test_centralisation_equals_another_librarys() -> None:
    some, others = parameters(), parameters()
    for parameter, other in zip(some, others, strict=True):
        centralize(parameter)
        assert other.grad is not None
        centralize_gradient(other.grad)
        assert torch.allclose(parameter.grad, other.grad, rtol=1e-12)
    assert torch.equal(some[2].grad, others[2].grad)  # a vector stays


def test_each_group_is_clipped_by_itself() -> None:
    some, groups = parameters(10.0), [[0, 1], [2, 3]]
    clipping = Clipping(norm=1.0, per_group=True)
    clipping.apply(some, [[some[i] for i in group] for group in groups])
    for group in groups:
        total = torch.stack([some[i].grad.norm() for i in group]).norm()  # type: ignore[union-attr]
        assert total == pytest.approx(1.0, rel=1e-5)


def test_the_order_is_centralise_value_adaptive_norm() -> None:
    some, expected = parameters(5.0), parameters(5.0)
    Clipping(norm=1.0, value=0.5, adaptive=0.3, centralize=True).apply(some, [some])
    for parameter in expected:
        centralize(parameter)
    nn.utils.clip_grad_value_(expected, 0.5)
    for parameter in expected:
        clip_adaptively(parameter, 0.3)
    nn.utils.clip_grad_norm_(expected, 1.0)
    for one, other in zip(gradients(some), gradients(expected), strict=True):
        assert torch.equal(one, other)


def test_without_gradients_there_is_nothing_to_clip() -> None:
    weight = nn.Parameter(torch.ones(3, 2))
    Clipping(norm=1.0, value=0.5, adaptive=0.3, centralize=True).apply([weight], [[weight]])
    assert weight.grad is None


@pytest.mark.parametrize("dims", [1, 2])
@pytest.mark.parametrize(
    "clipping",
    [
        Clipping(value=0.5),
        Clipping(adaptive=0.1),
        Clipping(centralize=True),
        Clipping(norm=0.5),
        Clipping(norm=1.0, value=1.5, adaptive=0.3),
    ],
)
@pytest.mark.parametrize("shape", [(5, 4), (5, 2, 3), (6,)])
def test_a_sparse_gradient_is_treated_as_the_dense_one(
    shape: tuple[int, ...], clipping: Clipping, dims: int
) -> None:
    generator = torch.Generator().manual_seed(0)
    made = [nn.Parameter(torch.randn(shape, generator=generator)) for _ in range(2)]
    for parameter in made:
        places = torch.tensor([[1, 3, 1, 1], [0, 1, 0, 1]])[: min(dims, len(shape))]
        entries = torch.randn(4, *shape[len(places) :], generator=generator)
        parameter.grad = torch.sparse_coo_tensor(places, entries, shape, check_invariants=True)
    others = [nn.Parameter(p.detach().clone()) for p in made]
    for other, parameter in zip(others, made, strict=True):
        other.grad = parameter.grad.to_dense()  # type: ignore[union-attr]
    before = gradients(others)
    clipping.apply(made, [made])
    clipping.apply(others, [others])
    for one, other in zip(gradients(made), gradients(others), strict=True):
        assert one.is_sparse or (clipping.centralize and dims == 2)
        assert torch.allclose(one.to_dense(), other, rtol=1e-6)
    acted = not all(map(torch.equal, gradients(others), before))
    assert acted or (clipping.centralize and len(shape) == 1)


@pytest.mark.parametrize(
    ("clipping", "acts"),
    [
        (Clipping(), False),
        (Clipping(per_group=True), False),
        (Clipping(norm=1.0), True),
        (Clipping(value=1.0), True),
        (Clipping(adaptive=1.0), True),
        (Clipping(centralize=True), True),
    ],
)
def test_whether_there_is_anything_to_do(clipping: Clipping, acts: bool) -> None:
    assert clipping.acts == acts
