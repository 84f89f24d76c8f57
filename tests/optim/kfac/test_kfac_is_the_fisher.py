"""K-FAC's blocks are the Fisher matrix's where theory says so, and its draws are of it anywhere."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from training.objectives import Problem

from optbench.optim.second_order.kfac.factors import factors_of
from optbench.optim.second_order.kfac.layers import Layer, layers
from optbench.tasks.regression import Regression

from .problems import mlp

EXAMPLES, OUTPUTS = 7, 3


class ByUnits(Regression):
    """Draws that are a multiple of a unit vector: over all of them, they have the distribution's
    second moments exactly."""

    unit = 0

    def drawn_loss(self, outputs: Tensor, batch: Any, uniform: Any) -> Tensor:
        off = torch.zeros_like(outputs)
        off[:, self.unit] = (OUTPUTS / 2) ** 0.5
        return self.criterion(outputs, (batch[0], outputs.detach() + off))


def linear_net(widths: list[int]) -> Problem:
    torch.manual_seed(0)
    pairs = pairwise(widths)
    module = nn.Sequential(*(nn.Linear(a, b) for a, b in pairs)).double()
    inputs = torch.randn(EXAMPLES, widths[0], dtype=torch.float64)
    return Problem(module, ByUnits(), inputs, torch.randn(EXAMPLES, OUTPUTS, dtype=torch.float64))


def expected_factors(problem: Problem) -> dict[Layer, tuple[Tensor, Tensor]]:
    """A and E[G], over all draws."""
    known, objective = layers(problem.module), problem.objective()
    sums: dict[Layer, Tensor] = {}
    found = {}
    for unit in range(OUTPUTS):
        problem.task.unit = unit  # type: ignore[attr-defined]
        with objective.capture([layer.module for layer in known]) as seen:
            objective.drawn(seed=0)
        for layer in known:
            a, g = factors_of(layer, seen[layer.module], "expand", largest=99, places=0, turn=0)
            sums[layer] = sums.get(layer, torch.zeros(())) + g.add_to(None, 0.0, 1 / OUTPUTS)
            found[layer] = (a.add_to(None, 0.0, 1.0)[0], sums[layer][0])
    return found


def gauss_newton(problem: Problem) -> Tensor:
    """By products with unit vectors, which tests/training/test_objective.py holds to torch.func."""
    objective, parameters = problem.objective(), problem.parameters
    count = sum(p.numel() for p in parameters)
    rows = []
    for unit in torch.eye(count, dtype=torch.float64):
        parts = unit.split([p.numel() for p in parameters])
        vectors = [part.view_as(p) for part, p in zip(parts, parameters, strict=True)]
        rows.append(torch.cat([v.flatten() for v in objective.ggnvp(parameters, vectors)]))
    return torch.stack(rows)


@pytest.mark.parametrize("widths", [[4, 3], [4, 5, 2, 3]], ids=["one layer", "three"])
def test_of_a_linear_net_with_squared_error_each_block_is_the_fishers(widths: list[int]) -> None:
    """There g does not depend on the example, so that E[a a^T (x) g g^T] = A (x) G."""
    problem = linear_net(widths)
    fisher, at = gauss_newton(problem), 0
    for a, g in expected_factors(problem).values():
        size = a.shape[0] * g.shape[0]
        weights = torch.kron(g, a[:-1, :-1])  # the weights' rows come first, then the biases
        cross, biases = torch.kron(g, a[:-1, -1:]), g * a[-1, -1]
        block = torch.cat([torch.cat([weights, cross], 1), torch.cat([cross.T, biases], 1)])
        torch.testing.assert_close(block, fisher[at : at + size, at : at + size])
        at += size
    assert at == len(fisher)


def test_gradients_of_draws_have_the_fisher_matrix_as_their_second_moment() -> None:
    """E[g g^T] of the sum over examples, times the number of these, is the matrix of the mean."""
    problem = mlp()
    known, objective = layers(problem.module), problem.objective()
    wanted = gauss_newton(problem)
    draws, total = 3000, torch.zeros_like(wanted)
    with objective.capture([layer.module for layer in known]) as seen:
        for seed in range(draws):
            objective.drawn(seed)
            parts = []
            for layer in known:
                (each,) = seen[layer.module]
                parts.append((each.output_gradients.T @ each.inputs).flatten())
                parts.append(each.output_gradients.sum(dim=0))
            gradient = torch.cat(parts)
            total += torch.outer(gradient, gradient) * (len(problem.inputs) / draws)
    assert torch.dist(total, wanted) <= 0.06 * wanted.norm()


def test_draws_leave_no_trace() -> None:
    problem = mlp()
    objective = problem.objective()
    objective()
    before = [p.grad.clone() for p in problem.parameters if p.grad is not None]
    state = torch.get_rng_state()
    with objective.capture([problem.module.head]):  # type: ignore[list-item]
        objective.drawn(3)
    assert torch.equal(state, torch.get_rng_state())
    after = [p.grad for p in problem.parameters if p.grad is not None]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_micro_batches_draw_as_the_whole_batch_does() -> None:
    found = []
    for accumulate in (1, 3):
        problem = mlp()
        objective = problem.objective(accumulate)
        with objective.capture([problem.module.head]) as seen:  # type: ignore[list-item]
            objective.drawn(3)
        parts = seen[problem.module.head]  # type: ignore[index]
        assert len(parts) == accumulate
        found.append(torch.cat([each.output_gradients * each.terms for each in parts]))
    torch.testing.assert_close(found[0], found[1])


class Twice(nn.Module):
    """A layer at two places of an example: by one call, or by a call for each."""

    def __init__(self, shared: nn.Module, calls: int) -> None:
        super().__init__()
        self.shared, self.calls = shared, calls

    def forward(self, inputs: Tensor) -> Tensor:
        if self.calls == 1:
            outputs: Tensor = self.shared(inputs)
            return outputs.sum(dim=1)
        return torch.stack([self.shared(place) for place in inputs.unbind(dim=1)]).sum(dim=0)


@pytest.mark.parametrize("accumulate", [1, 3])
@pytest.mark.parametrize("embeds", [False, True])
def test_calls_of_a_layer_are_places_of_it(embeds: bool, accumulate: int) -> None:
    found = []
    for calls in (1, 2):
        torch.manual_seed(0)
        layer = (nn.Embedding(5, 3) if embeds else nn.Linear(5, 3)).double()
        numbers = torch.randn(EXAMPLES, 2, 5, dtype=torch.float64)
        inputs = torch.randint(5, (EXAMPLES, 2)) if embeds else numbers
        problem = Problem(Twice(layer, calls), mlp().task, inputs, torch.randint(3, (EXAMPLES,)))
        (known,), objective = layers(problem.module), problem.objective(accumulate)
        with objective.capture([layer]) as seen:
            objective()
        sides = factors_of(known, seen[layer], "expand", largest=99, places=0, turn=0)
        found.append([side.add_to(None, 0.0, 1.0) for side in sides])
    torch.testing.assert_close(found[1], found[0])
