"""Where rounding is all that is left, and what is spoiled by it: what is done instead."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from few import few
from torch import Tensor, nn

from optbench.optim.second_order import trust_region
from optbench.optim.second_order.dense import solved
from optbench.optim.second_order.fisher_diagonal import Diagonal
from optbench.optim.second_order.flat import Flat
from optbench.optim.second_order.lbfgs_multibatch import LBFGSMultiBatch
from optbench.optim.second_order.levenberg_marquardt import LevenbergMarquardt
from optbench.optim.second_order.solver import Curvature
from optbench.optim.second_order.sr1 import SR1, updated

from ..plain_objective import Plain
from ..problem import data, network


class Function:
    """An objective that is a function of one tensor."""

    def __init__(self, at: Callable[[Tensor], Tensor], point: Tensor) -> None:
        self.at, self.point = at, point

    def __call__(self) -> Tensor:
        self.point.grad = None
        loss = self.at(self.point)
        loss.backward()
        return loss

    def loss(self) -> Tensor:
        return self.at(self.point.detach())

    @torch.enable_grad()
    def gradients(self, wanted: Sequence[Tensor]) -> tuple[Tensor, Sequence[Tensor]]:
        loss = self.at(self.point)
        return loss.detach(), torch.autograd.grad(loss, wanted)


def rastrigin(x: Tensor) -> Tensor:
    return (x.square() - 10 * (2 * torch.pi * x).cos() + 10).sum()


def lifted(x: Tensor) -> Tensor:
    return (torch.arange(1.0, 6.0) * (x - 0.3).square()).sum() + 1000


@pytest.mark.parametrize("at", [rastrigin, lifted])
@pytest.mark.parametrize("seed", few(range(4), 1))
def test_sr1_goes_on_for_long_where_it_has_converged(
    at: Callable[[Tensor], Tensor], seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    point = nn.Parameter(torch.empty(5).uniform_(-5, 5, generator=generator))
    first = float(at(point.detach()))
    optimizer, objective = SR1([point]), Function(at, point)
    for _ in range(1500):
        optimizer.step(objective)
    matrix = optimizer.kept["matrix"]
    assert matrix.isfinite().all() and matrix.abs().max() < 1e6
    assert 0 < optimizer.kept["radius"] < 1e6
    assert float(at(point.detach())) < first


def test_sr1_learns_nothing_of_rounding_nor_of_what_overflows() -> None:
    eye, s = torch.eye(2), torch.tensor([1.0, 0.0])
    assert torch.equal(updated(eye.clone(), s, s, s * (1 + 1.2e-7)), eye)
    tiny = s * 1e-20  # below is 1e-40, its inverse more than float32 has
    assert torch.equal(updated(eye.clone(), tiny, tiny, 2 * tiny), eye)
    assert torch.equal(updated(eye.clone(), s, s, 2 * s), torch.tensor([[2.0, 0.0], [0.0, 1.0]]))


def test_sr1_begins_anew_where_eigenvalues_are_not_found() -> None:
    point = nn.Parameter(torch.ones(3))
    optimizer = SR1([point])
    optimizer.kept["matrix"] = torch.full((3, 3), torch.inf)
    objective = Function(lambda x: x.square().sum(), point)
    optimizer.step(objective)
    assert float(objective.loss()) < 3 and optimizer.kept["matrix"].isfinite().all()
    none = trust_region.exact_within(torch.full((3, 3), torch.nan), torch.ones(3), 1.0)
    assert none.isnan().all()


def test_levenberg_marquardt_asks_for_each_try_at_the_same_point() -> None:
    """Undamped its first steps are too long; by conjugate gradients it then goes as exactly."""
    ends, tries = [], []
    for solver in ("exact", "cg"):
        module, (inputs, targets) = network(), data()
        optimizer = LevenbergMarquardt(
            module.parameters(),
            damping=1e-10,
            lr=3.0,
            tries=20,
            solver=solver,
            cg_iterations=10_000,
            cg_stop="residual",
            cg_tolerance=1e-13,
            cg_decay=0.0,
        )
        optimizer.step(Plain(module, inputs, targets))
        tries.append(optimizer.measured["tries"])
        ends.append(nn.utils.parameters_to_vector(module.parameters()).detach())
    assert tries[0] == tries[1] > 2
    torch.testing.assert_close(ends[0], ends[1], rtol=1e-4, atol=1e-6)


def float32_matrix(low: float) -> tuple[Tensor, Tensor]:
    """With a direction of none, another of `low`, and others; the first."""
    generator = torch.Generator().manual_seed(0)
    q = torch.linalg.qr(torch.randn(20, 20, generator=generator)).Q
    values = torch.linspace(1.0, 10.0, 20)
    values[0], values[1] = 0.0, low
    matrix = q @ values.diag() @ q.T
    return 0.5 * (matrix + matrix.T), q[:, 0]


def test_directions_of_none_stay_in_float32_too() -> None:
    matrix, nothing = float32_matrix(1.0)
    found, negative = solved(matrix, torch.ones(20), 0.0)
    assert abs(float(found @ nothing)) < 1e-3 and not negative
    damped, _ = solved(matrix, nothing, 1e-3)
    torch.testing.assert_close(damped, nothing * 1e3, rtol=1e-2, atol=1e-1)


def test_an_exact_solution_tells_of_negative_curvature() -> None:
    matrix, _ = float32_matrix(-1.0)
    flat = Flat([torch.ones(20)])

    def products(_: Sequence[Tensor], vectors: Sequence[Tensor], stacked: bool) -> list[Tensor]:
        return [vectors[0] @ matrix]

    curvature = Curvature(products, flat, {"solver": "exact"})
    assert curvature.direction(torch.ones(20), 0.0).negative
    assert not curvature.direction(torch.ones(20), 2.0).negative  # the damping makes up for it


def test_a_rank_without_examples_adds_nothing_to_the_diagonal() -> None:
    module = nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2))
    for parameter in module.parameters():
        parameter.grad = torch.full_like(parameter, 2.0)
    diagonal = Diagonal(module, Flat(list(module.parameters())))
    seen: dict[Any, list[Any]] = {layer: [] for layer in diagonal.layers}
    sums = [float(each.sum()) for each in diagonal.squares(seen)]
    assert sums == [0, 0, 8, 8]  # the layer norm's is of the batch, on every rank


def test_lbfgs_begins_anew_where_its_direction_leads_up() -> None:
    point = nn.Parameter(torch.tensor([1.0, 1.0]))
    optimizer = LBFGSMultiBatch([point], lr=0.1, line_search="none")
    optimizer.kept["steps"] = [torch.tensor([1.0, 0.0])]
    optimizer.kept["changes"] = [torch.tensor([-1.0, 0.0])]
    objective = Function(lambda x: x.square().sum(), point)
    optimizer.step(objective)
    assert float(objective.loss()) < 2
    assert optimizer.measured["pairs"] == 1 and float(optimizer.kept["changes"][0][0]) < 0
