"""The genetic algorithm and the swarm: their parts by hand, and that they find minima."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from optbench.optim.population.ga import GA, adapted_rate, nearest
from optbench.optim.population.pso import PSO

from . import Objective, at, ellipsoid, sphere, walked


def ones(points: Tensor) -> Tensor:
    return (points < 0.5).double().sum(dim=1)


def test_real_genes_come_to_the_minimum() -> None:
    point = at(3.0, -2.0, 1.0, 3.0, 2.0)
    optimizer = GA([point], sigma=1.0, seed=0)
    walked(optimizer, Objective([point], sphere, still=True), 150)
    assert float(sphere(point.detach()[None])) < 1e-8
    assert optimizer.measured["sigma"] < 1e-3  # it adapts


def test_discrete_genes_have_no_other_values() -> None:
    point = at(*[0.2] * 30)
    optimizer = GA([point], values=[0.0, 2.0, -1.0], seed=0)
    objective = Objective([point], lambda p: (p - 2).abs().sum(dim=1), still=True)
    walked(optimizer, objective, 80)
    assert set(torch.cat(objective.asked).unique().tolist()) == {-1.0, 0.0, 2.0}
    assert point.tolist() == [2.0] * 30
    assert objective.asked[0][0].tolist() == [0.0] * 30  # where it began, in its values


def test_the_nearest_value() -> None:
    values = torch.tensor([-1.0, 0.0, 2.0])
    assert nearest(torch.tensor([-9.0, -0.6, -0.4, 0.9, 1.1, 7.0]), values).tolist() == [
        *(0, 0, 1, 1, 2, 2)
    ]


def test_rates_move_on_a_logistic_scale_within_bounds() -> None:
    rates, draws = torch.tensor([0.1, 0.1, 0.4, 0.01]), torch.tensor([0.0, 1.0, 9.0, -9.0])
    found = adapted_rate(rates, draws, least=0.01)
    assert found.tolist() == pytest.approx([0.1, 1 / (1 + 9 * 2.718281828**-0.22), 0.5, 0.01])


def test_elites_stay_and_are_not_evaluated_again() -> None:
    point = at(*[0.0] * 20)
    optimizer = GA([point], values=[0, 1], population=10, elites=3, noisy=False, seed=0)
    objective = Objective([point], ones, still=True)
    lowest = torch.inf
    for step in range(10):
        optimizer.step(objective)
        own = optimizer.state[point]
        assert len(objective.asked[-1]) == (7 if step else 10)
        assert torch.equal(own["losses"], ones(own["members"]))
        assert float(own["losses"].min()) <= lowest
        lowest = float(own["losses"].min())


class Noisy:
    """Another constant at each generation, which `Objective.forward` ends."""

    def __init__(self, value: Any) -> None:
        self.value, self.shift = value, 0.0

    def __call__(self, points: Tensor) -> Tensor:
        return self.value(points) + self.shift


@pytest.mark.parametrize("cls", [GA, PSO])
@pytest.mark.parametrize("noisy", [False, True])
def test_it_finds_out_whether_losses_are_noisy(cls: Any, noisy: bool) -> None:
    point = at(*[2.0] * 4)
    optimizer = cls([point], population=10, seed=0)
    value = Noisy(sphere)
    objective = Objective([point], value)
    counts = []
    for step in range(4):
        value.shift = 1000.0 * (4 - step) * noisy
        asked = len(objective.asked)
        optimizer.step(objective)
        counts.append(sum(map(len, objective.asked[asked:])))
    assert optimizer.state[point]["noisy"] is noisy
    usual = 10 if cls is PSO else 8
    again = (20 if cls is PSO else 10) if noisy else usual
    assert counts == [11, again + 1, again, again]
    # What is best is so on the last step's losses.
    assert optimizer.measured["best"] == float(value(point.detach()[None]))


@pytest.mark.parametrize("cls", [GA, PSO])
@pytest.mark.parametrize("noisy", [False, True])
@pytest.mark.parametrize("infinite", [(0,), (1,), (0, 1, 3)])
def test_losses_that_are_not_finite_do_not_decide_it(
    cls: Any, noisy: bool, infinite: tuple[int, ...]
) -> None:
    point = at(*[2.0] * 4)
    optimizer = cls([point], population=10, seed=0)
    value = Noisy(sphere)
    objective = Objective([point], value)
    for step in range(7):
        value.shift = math.inf if step in infinite else 1000.0 * (9 - step) * noisy
        optimizer.step(objective)
        if step <= max(infinite):
            assert optimizer.state[point]["noisy"] is None
    assert optimizer.state[point]["noisy"] is noisy


@pytest.mark.parametrize("topology", ["ring", "global"])
def test_the_swarm_comes_to_the_minimum(topology: str) -> None:
    point = at(3.0, -2.0, 1.0, 3.0, 2.0)
    optimizer = PSO([point], spread=2.0, topology=topology, seed=0)
    walked(optimizer, Objective([point], ellipsoid, still=True), 400)
    assert float(ellipsoid(point.detach()[None])) < 1e-8
    assert optimizer.measured["spread"] < 1e-2


def test_a_particle_is_drawn_to_the_best_beside_it() -> None:
    losses = torch.tensor([5.0, 4.0, 3.0, 9.0, 8.0, 7.0])
    ring, whole = PSO([at(1.0)], topology="ring"), PSO([at(1.0)], topology="global")
    assert ring._leaders(losses).tolist() == [1, 2, 2, 2, 5, 0]
    assert whole._leaders(losses).tolist() == [2] * 6


def test_one_move_of_the_swarm() -> None:
    point = at(1.0, 2.0)
    optimizer = PSO([point], population=3, seed=7)
    objective = Objective([point], sphere, still=True)
    optimizer.step(objective)
    own = {k: v.clone() if torch.is_tensor(v) else v for k, v in optimizer.state[point].items()}
    optimizer.step(objective)
    from optbench.optim.population.draws import generator_of, uniform

    generator = generator_of(torch.device("cpu"), 7, 1)
    one, other = uniform(generator, 2, 3, 2, dtype=torch.float64)
    lead = own["bests"][optimizer._leaders(own["losses"])]
    x, p = own["points"], own["bests"]
    v = 0.7298 * (own["velocities"] + 2.05 * one * (p - x) + 2.05 * other * (lead - x))
    assert torch.allclose(optimizer.state[point]["velocities"], v)
    assert torch.allclose(optimizer.state[point]["points"], x + v)


def test_particles_stop_at_the_bounds() -> None:
    point = at(0.5, 0.5)
    optimizer = PSO([point], spread=3.0, bounds=(-1.0, 1.0), seed=0)
    objective = Objective([point], lambda points: sphere(points - 5), still=True)
    walked(optimizer, objective, 30)
    tried = torch.cat(objective.asked)
    assert (float(tried.min()), float(tried.max())) == (-1.0, 1.0)
    assert point.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("cls", [GA, PSO])
def test_the_mean_may_stand_in_the_model(cls: Any) -> None:
    point = at(3.0, 4.0)
    optimizer = cls([point], evaluate="mean", noisy=False, seed=0)
    objective = Objective([point], sphere, still=True)
    walked(optimizer, objective, 3)
    own = optimizer.state[point]
    members = own["members"] if cls is GA else own["bests"]
    assert torch.equal(point.detach(), members.mean(dim=0))
    assert objective.known == [None] * 3  # nobody knows its loss


@pytest.mark.parametrize("cls", [GA, PSO])
def test_members_that_are_not_finite_are_the_worst(cls: Any) -> None:
    point = at(0.0, 0.0)

    def value(points: Tensor) -> Tensor:
        return torch.where(points[:, 0] < 0, torch.nan, sphere(points - 1))

    walked(cls([point], seed=0), Objective([point], value), 60)
    assert torch.allclose(point.detach(), torch.ones(2).double(), atol=1e-2)


@pytest.mark.parametrize(
    ("cls", "settings", "said"),
    [
        (GA, {"population": 1}, "population=1: needs at least 2"),
        (GA, {"values": [1, 1]}, "a gene needs at least 2"),
        (GA, {"values": ["a", "b"]}, "values=.*expected a list of finite numbers"),
        (GA, {"values": [0, math.nan]}, "values=.*expected a list of finite numbers"),
        (GA, {"values": [0, 10**400]}, "values=.*expected a list of finite numbers"),
        (GA, {"values": [False, True]}, "values=.*expected a list of finite numbers"),
        (GA, {"values": 3}, "values=3: expected a list of finite numbers"),
        (GA, {"values": "01"}, "values=01: expected a list of finite numbers"),
        (GA, {"values": [0, 1], "evaluate": "mean"}, "none of the values"),
        (GA, {"elites": 50}, "elites=50: expected 0 to 49"),
        (GA, {"elites": -1}, "elites=-1: expected 0 to 49"),
        (GA, {"tournament": 0}, "tournament=0: needs at least 1"),
        (GA, {"crossover": 1.5}, "crossover=1.5: expected a probability"),
        (GA, {"rate": 0.0}, "rate=0.0: expected a probability"),
        (GA, {"sigma": 0.0}, "sigma must be above 0"),
        (PSO, {"population": 1}, "population=1: needs at least 2"),
        (PSO, {"topology": "star"}, "topology=star: expected ring or global"),
        (PSO, {"bounds": (1.0, 0.0)}, "bounds=.*least and the greatest"),
        (PSO, {"spread": 0.0}, "spread must be above 0"),
        (PSO, {"c1": -1.0}, "c1 must be at least 0"),
    ],
)
def test_settings_out_of_range(cls: Any, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        cls([at(1.0)], **settings)


@pytest.mark.parametrize("cls", [GA, PSO])
def test_several_groups_are_refused(cls: Any) -> None:
    with pytest.raises(ValueError, match="moves all parameters alike, so it takes one group"):
        cls([{"params": [at(1.0)]}, {"params": [at(2.0)]}])
