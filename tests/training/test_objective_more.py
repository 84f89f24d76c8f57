"""optbench.training.objective: several products at once, kept graphs, gradients that only look."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, jacrev
from torch.nn.functional import cross_entropy, dropout

from optbench.tasks.classification import Classification
from optbench.training.objective import Objective
from optbench.training.products import several

from .objectives import EXAMPLES, PROBLEMS, Problem, classified, dense, flat, unflat

each_problem = pytest.mark.parametrize("name", PROBLEMS)


def gradients_of_examples(problem: Problem) -> Tensor:
    """Of each example's own loss, [n, parameters]."""
    names = [name for name, _ in problem.module.named_parameters()]

    def losses(vector: Tensor) -> Tensor:
        values = dict(zip(names, unflat(vector, problem.parameters), strict=True))
        logits: Tensor = functional_call(problem.module, values, (problem.inputs,))
        each = cross_entropy(logits.movedim(-1, 1), problem.targets, reduction="none")
        return each.reshape(len(each), -1).mean(dim=1)

    found: Tensor = jacrev(losses)(flat(problem.parameters))
    return found


@pytest.mark.filterwarnings("ignore:.torch.jit.script")
@pytest.mark.parametrize("accumulate", [1, 3])
@pytest.mark.parametrize("name", ["mlp", "conv"])
def test_the_empirical_fisher_is_the_mean_of_squared_gradients(name: str, accumulate: int) -> None:
    problem = PROBLEMS[name]()
    rows = gradients_of_examples(problem)
    fisher = rows.T @ rows / EXAMPLES
    vector = torch.randn(len(fisher), dtype=torch.float64)
    product = problem.objective(accumulate).efvp(
        problem.parameters, unflat(vector, problem.parameters)
    )
    assert torch.allclose(flat(product), fisher @ vector, rtol=1e-9, atol=1e-12)


def stacked_units(problem: Problem) -> list[Tensor]:
    count = sum(p.numel() for p in problem.parameters)
    units = torch.eye(count, dtype=torch.float64)
    parts = units.split([p.numel() for p in problem.parameters], dim=1)
    return [
        part.reshape(count, *p.shape) for part, p in zip(parts, problem.parameters, strict=True)
    ]


@pytest.mark.filterwarnings("ignore:.torch.jit.script")
@each_problem
def test_several_products_at_once_are_the_matrix(name: str) -> None:
    problem = PROBLEMS[name]()
    objective, units = problem.objective(accumulate=2), stacked_units(problem)
    products = (objective.hvp, objective.ggnvp)
    for matrix, product in zip(dense(problem), products, strict=True):
        before = objective.meter.thirds
        rows = torch.cat(
            [part.flatten(1) for part in product(problem.parameters, units, stacked=True)], dim=1
        )
        assert torch.allclose(rows, matrix, rtol=1e-9, atol=1e-11)
        assert objective.meter.thirds - before == 6 * len(matrix)


class Unbatched(torch.autograd.Function):
    """Three times a number, by a backward that vmap can't go through."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return 3 * x

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> Tensor:
        assert float(slopes[0].abs().sum().detach()) >= 0  # a number is what vmap has not
        return 3 * slopes[0]


class Odd(nn.Module):
    """Logits by that."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(5, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        found: Tensor = Unbatched.apply(self.layer(inputs).tanh())  # type: ignore[no-untyped-call]
        return found


@pytest.mark.parametrize("product", ["hvp", "ggnvp", "efvp"])
def test_what_vmap_cant_goes_one_after_the_other(product: str) -> None:
    torch.manual_seed(0)
    problem = classified(Odd(), (5,))
    objective: Any = problem.objective()
    units = stacked_units(problem)
    found = getattr(objective, product)(problem.parameters, units, stacked=True)
    for number, unit in enumerate(zip(*units, strict=True)):
        one = getattr(objective, product)(problem.parameters, list(unit))
        assert torch.allclose(flat(one), flat([part[number] for part in found]), atol=1e-12)


class Counting(Odd):
    """The same behind dropout, times how often it was called."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros((), dtype=torch.float64))

    def forward(self, inputs: Tensor) -> Tensor:
        self.calls += 1
        return super().forward(dropout(inputs, 0.5)) * self.calls.clone()


@pytest.mark.parametrize("product", ["hvp", "ggnvp", "efvp"])
def test_one_after_the_other_they_are_of_the_same_loss(product: str) -> None:
    """With the random numbers and buffers of what vmap failed at."""
    torch.manual_seed(0)
    problem = classified(Counting(), (5,))
    objective: Any = problem.objective(accumulate=2)
    units = stacked_units(problem)
    found = getattr(objective, product)(problem.parameters, units, stacked=True)
    one = getattr(objective, product)(problem.parameters, [unit[0] for unit in units])
    assert torch.allclose(flat(one), flat([part[0] for part in found]), atol=1e-12)
    assert flat(one).any()


def test_memory_that_runs_out_is_not_what_vmap_cant() -> None:
    problem, asked = classified(Odd(), (5,)), []

    def make() -> Any:
        asked.append(1)
        raise torch.OutOfMemoryError("no")

    aside = problem.objective()._aside
    with pytest.raises(torch.OutOfMemoryError):
        several(aside, make, [])
    assert len(asked) == 1


@each_problem
def test_at_rest_products_are_the_same(name: str) -> None:
    problem = PROBLEMS[name]()
    objective = problem.objective()
    vectors = [[torch.randn_like(p) for p in problem.parameters] for _ in range(2)]
    products = (objective.hvp, objective.ggnvp, objective.efvp)
    plain = [product(problem.parameters, v) for product in products for v in vectors]
    with objective.at_rest():
        kept = [product(problem.parameters, v) for product in products for v in vectors]
    for one, other in zip(plain, kept, strict=True):
        assert torch.allclose(flat(one), flat(other), rtol=1e-12, atol=1e-15)
    with torch.no_grad():
        for parameter in problem.parameters:
            parameter.mul_(1.5)
    moved = flat(objective.hvp(problem.parameters, vectors[0]))
    assert not torch.allclose(moved, flat(plain[0]))


class Noisy(nn.Module):
    """Dropout and batch norm."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(5, 6), nn.BatchNorm1d(6), nn.Dropout(), nn.Tanh(), nn.Linear(6, 3)
        )

    def forward(self, inputs: Tensor) -> Tensor:
        found: Tensor = self.layers(inputs)
        return found


def test_at_rest_all_products_see_the_first_calls_random_numbers_and_leave_no_trace() -> None:
    torch.manual_seed(0)
    problem = classified(Noisy(), (5,))
    objective, parameters = problem.objective(), problem.parameters
    objective()
    buffers = [b.clone() for b in problem.module.buffers()]
    state = torch.get_rng_state()
    vectors = [torch.ones_like(p) for p in parameters]
    plain = [objective.hvp(parameters, vectors), objective.ggnvp(parameters, vectors)]
    with objective.at_rest():
        kept = [objective.hvp(parameters, vectors), objective.ggnvp(parameters, vectors)]
        kept += [objective.hvp(parameters, vectors), objective.ggnvp(parameters, vectors)]
    for one, other in zip([*plain, *plain], kept, strict=True):
        assert torch.allclose(flat(one), flat(other), rtol=1e-10, atol=1e-14)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(map(torch.equal, buffers, problem.module.buffers()))


@pytest.mark.parametrize("accumulate", [1, 2])
def test_gradients_are_a_calls_without_a_trace(accumulate: int) -> None:
    torch.manual_seed(0)
    problem = classified(Noisy(), (5,))
    objective, parameters = problem.objective(accumulate), problem.parameters
    first = objective()
    wanted = [p.grad.clone() for p in parameters if p.grad is not None]
    buffers = [b.clone() for b in problem.module.buffers()]
    state, thirds = torch.get_rng_state(), objective.meter.thirds
    for parameter in parameters:
        parameter.grad = None
    loss, gradients = objective.gradients(parameters)
    assert torch.allclose(loss, first, rtol=1e-12)
    assert torch.allclose(flat(gradients), flat(wanted), rtol=1e-10, atol=1e-14)
    assert objective.meter.thirds == thirds + 3
    assert all(p.grad is None for p in parameters)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(map(torch.equal, buffers, problem.module.buffers()))


def test_gradients_of_sparse_embeddings_are_dense() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Embedding(4, 6, sparse=True), nn.Flatten(), nn.Linear(12, 3))
    inputs, targets = torch.randint(4, (EXAMPLES, 2)), torch.randint(3, (EXAMPLES,))
    problem = Problem(module.double(), Classification(), inputs, targets)
    _, gradients = problem.objective().gradients(problem.parameters)
    assert not any(gradient.is_sparse for gradient in gradients)


@pytest.mark.parametrize("product", ["hvp", "ggnvp", "efvp"])
def test_stacked_vectors_of_another_shape_are_named(product: str) -> None:
    problem = PROBLEMS["mlp"]()
    objective: Objective = problem.objective()
    with pytest.raises(ValueError, match=r"vectors\[0\] is \[4, 5\], not \['K', 4, 5\]"):
        vectors = [torch.zeros_like(p) for p in problem.parameters]
        getattr(objective, product)(problem.parameters, vectors, stacked=True)
