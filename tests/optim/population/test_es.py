"""Evolution strategies: the estimate by hand, ranks, the inner optimizer, groups."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from optbench.optim.population.draws import generator_of, normal
from optbench.optim.population.es import ES, centred_ranks

from . import Objective, at, ellipsoid, sphere, walked

START = (3.0, -1.0, 2.0, 0.5)


def by_hand(make: Any, sigma: float, weight_decay: float, steps: int) -> Tensor:
    """Salimans et al. 2017, algorithm 2, with torch's optimizer inside."""
    point = at(*START)
    inner = make([point])
    for step in range(steps):
        half = [
            normal(generator_of(torch.device("cpu"), 5, step, 2 * k), 4, dtype=torch.float64)
            for k in range(6)
        ]
        noise = torch.stack([each for eps in half for each in (eps, -eps)])
        losses = ellipsoid(point.detach() + sigma * noise)
        ranks = torch.empty(12, dtype=torch.float64)
        ranks[losses.argsort()] = torch.linspace(0.5, -0.5, 12, dtype=torch.float64)
        point.grad = -(ranks @ noise) / 12 + weight_decay * point.detach()
        inner.step()
    return point.detach()


@pytest.mark.parametrize("chunk", [100, 4, 1])
@pytest.mark.parametrize(
    ("settings", "make"),
    [
        ({}, lambda p: torch.optim.Adam(p, lr=0.05)),
        ({"inner": "sgd"}, lambda p: torch.optim.SGD(p, lr=0.05)),
        ({"inner": "sgd", "momentum": 0.9}, lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9)),
    ],
)
def test_it_is_torchs_optimizer_on_the_ranks_slope(
    settings: dict[str, Any], make: Any, chunk: int
) -> None:
    point = at(*START)
    optimizer = ES(
        [point], lr=0.05, sigma=0.1, population=12, weight_decay=0.01, seed=5, **settings
    )
    path = walked(optimizer, Objective([point], ellipsoid, chunk=max(chunk, 2)), 30)
    assert torch.allclose(path[-1], by_hand(make, 0.1, 0.01, 30), rtol=1e-10)
    assert optimizer.measured["evaluations"] == 30 * 12


def test_equal_losses_share_their_ranks() -> None:
    ranks = centred_ranks(torch.tensor([3.0, 1.0, torch.inf, 1.0, torch.inf]))
    assert ranks.tolist() == [0.0, 0.375, -0.375, 0.375, -0.375]
    assert not bool(centred_ranks(torch.ones(4)).any())


def test_the_losses_scale_does_not_matter() -> None:
    ends = []
    for scale in (1.0, 1e6):
        point = at(*START)
        objective = Objective([point], lambda points, s=scale: s * ellipsoid(points))
        ends.append(walked(ES([point], seed=0), objective, 5)[-1])
    assert torch.equal(*ends)


def test_members_that_are_not_finite_are_the_worst() -> None:
    point = at(*START)

    def value(points: Tensor) -> Tensor:
        return torch.where(points[:, 0] > 3, torch.nan, -points[:, 0])  # better towards the wall

    walked(ES([point], lr=0.1, sigma=0.1, seed=0), Objective([point], value), 20)
    assert bool(point.isfinite().all()) and float(point.detach()[0]) < 3.3


@pytest.mark.parametrize("evaluate", ["mean", "best"])
def test_it_stays_where_no_member_is_finite(evaluate: str) -> None:
    point = at(*START)
    optimizer = ES([point], evaluate=evaluate, seed=0)
    objective = Objective([point], lambda points: points[:, 0] * torch.nan)
    walked(optimizer, objective, 3)
    assert torch.equal(point.detach(), at(*START).detach())
    assert optimizer.measured["best"] == torch.inf


def test_the_best_member_may_stand_in_the_model() -> None:
    point = at(*START)
    optimizer = ES([point], evaluate="best", sigma=0.3, noisy=False, seed=0)
    objective = Objective([point], sphere, still=True)
    walked(optimizer, objective, 10)
    tried = torch.cat(objective.asked)
    assert torch.equal(point.detach(), tried[sphere(tried).argmin()])
    assert float(objective.known[-1] or 0) == float(sphere(tried).min())
    other = at(*START)
    ends = walked(ES([other], sigma=0.3, seed=0), Objective([other], sphere), 10)
    assert torch.equal(optimizer.state[point]["centre"], ends[-1])  # the search is the same


def test_groups_have_settings_of_their_own() -> None:
    one, other, third = nn.Parameter(torch.ones(2, 2)), at(1.0, 2.0), at(3.0)
    groups = [{"params": [one, third], "lr": 0.0}, {"params": [other], "sigma": 0.5}]
    optimizer = ES(groups, lr=0.1, sigma=0.1, population=200, weight_decay=0.0, seed=0)
    objective = Objective([one, third, other], sphere)
    walked(optimizer, objective, 1)
    assert torch.equal(one.detach(), torch.ones(2, 2)) and float(third.detach()) == 3.0
    assert not torch.equal(other.detach(), at(1.0, 2.0).detach())
    spread = objective.asked[0].std(dim=0)
    assert torch.allclose(spread, torch.tensor([0.1] * 5 + [0.5] * 2).double(), rtol=0.2)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"population": 1}, "population=1: needs at least 2"),
        ({"population": 7}, "population=7: antithetic members come in pairs"),
        ({"inner": "adamw"}, "inner=adamw: expected adam or sgd"),
        ({"evaluate": "median"}, "evaluate=median: expected mean or best"),
        ({"sigma": 0.0}, "sigma must be above 0"),
        ({"lr": -1.0}, "lr must be at least 0"),
        ({"betas": (0.9, 1.0)}, "beta2 must be in"),
        ({"inner": "sgd", "momentum": 1.0}, "momentum must be in"),
    ],
)
def test_settings_out_of_range(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        ES([at(1.0)], **settings)


def test_an_odd_population_may_be_without_pairs() -> None:
    point = at(*START)
    optimizer = ES([point], lr=0.1, sigma=0.1, population=31, antithetic=False, seed=0)
    path = walked(optimizer, Objective([point], sphere, chunk=4), 60)
    assert float(sphere(path[-1][None])) < 1
