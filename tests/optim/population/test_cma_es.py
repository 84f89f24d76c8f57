"""CMA-ES: against the tutorial, transcribed, and on functions; its restarts."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from few import few
from torch import Tensor

from optbench.optim.population.cma_es import CMAES
from optbench.optim.population.cma_restarts import next_run, stops
from optbench.optim.population.cma_settings import default_population, strategy
from optbench.optim.population.draws import generator_of, normal

from . import Objective, at, ellipsoid, sphere, walked

CPU = torch.device("cpu")


def test_the_constants_are_those_of_cma_in_ten_dimensions() -> None:
    how = strategy(10, default_population(10), separable=False, device=CPU)
    assert (len(how.weights), how.parents) == (10, 5)
    found = [how.mu_eff, how.c_c, how.c_1, how.c_mu, how.c_sigma, how.d_sigma]
    assert found == pytest.approx([3.167, 0.295, 0.0153, 0.0236, 0.320, 1.32], rel=5e-3)
    assert float(how.weights[:5].sum()) == pytest.approx(1)
    assert float(how.weights[5:].max()) <= 0


class Tutorial:
    """Hansen 2016, figure 6, in numpy, with C's square root taken anew each time."""

    def __init__(self, mean: Any, sigma: float, how: Any, seed: int) -> None:
        self.m, self.sigma, self.how, self.seed = np.array(mean), sigma, how, seed
        self.n = len(mean)
        self.C, self.ps, self.pc = np.eye(self.n), np.zeros(self.n), np.zeros(self.n)
        self.w = how.weights.numpy()

    def step(self, g: int) -> None:
        h, n, mu = self.how, self.n, self.how.parents
        values, B = torch.linalg.eigh(torch.from_numpy((self.C + self.C.T) / 2))
        B, D = (np.eye(n), np.ones(n)) if g == 0 else (B.numpy(), np.sqrt(values.numpy()))
        z = normal(generator_of(CPU, self.seed, g), len(self.w), n, dtype=torch.float64).numpy()
        y = np.array([B @ (D * each) for each in z])
        x = self.m + self.sigma * y
        y = y[np.argsort(ellipsoid(torch.from_numpy(x)).numpy())]
        white = B @ np.diag(1 / D) @ B.T
        mean = self.w[:mu] @ y[:mu]
        self.m = self.m + self.sigma * mean
        gain = math.sqrt(h.c_sigma * (2 - h.c_sigma) * h.mu_eff)
        self.ps = (1 - h.c_sigma) * self.ps + gain * white @ mean
        norm = np.linalg.norm(self.ps)
        age = math.sqrt(1 - (1 - h.c_sigma) ** (2 * (g + 1)))
        short = norm**2 / age**2 / n < 2 + 4 / (n + 1)
        gain = math.sqrt(h.c_c * (2 - h.c_c) * h.mu_eff)
        self.pc = (1 - h.c_c) * self.pc + short * gain * mean
        scaled = [
            w if w >= 0 else w * n / np.sum((white @ each) ** 2)
            for w, each in zip(self.w, y, strict=True)
        ]
        kept = 1 + h.c_1 * (not short) * h.c_c * (2 - h.c_c) - h.c_1 - h.c_mu * self.w.sum()
        many = sum(w * np.outer(each, each) for w, each in zip(scaled, y, strict=True))
        self.C = kept * self.C + h.c_1 * np.outer(self.pc, self.pc) + h.c_mu * many
        self.sigma *= math.exp(h.c_sigma / h.d_sigma * (norm / h.expected - 1))


def test_it_walks_as_the_tutorial_says() -> None:
    point = at(3, -1, 2, 0.5, 1)
    optimizer = CMAES([point], sigma=0.7, seed=3)
    by_hand = Tutorial([3, -1, 2, 0.5, 1], 0.7, optimizer._strategy(8), seed=3)
    path = walked(optimizer, Objective([point], ellipsoid), 40)
    for g in range(40):
        by_hand.step(g)
        assert np.allclose(path[g].numpy(), by_hand.m, rtol=1e-7, atol=1e-9)
    assert optimizer.measured["sigma"] == pytest.approx(by_hand.sigma, rel=1e-6)
    assert float(ellipsoid(path[-1][None])) < 0.2 * float(ellipsoid(path[0][None]))


@pytest.mark.parametrize("covariance", ["full", "separable"])
def test_it_learns_the_scales_and_comes_to_the_minimum(covariance: str) -> None:
    point = at(*[3.0] * 6)
    optimizer = CMAES([point], sigma=1.0, covariance=covariance, seed=0)
    path = walked(optimizer, Objective([point], ellipsoid), 250)
    assert float(ellipsoid(path[-1][None])) < 1e-10
    assert 30 < optimizer.measured["axis_ratio"] < 300  # 100


def test_a_full_covariance_is_learnt_in_any_coordinates() -> None:
    turn, _ = torch.linalg.qr(
        torch.randn(6, 6, generator=torch.Generator().manual_seed(1)).double()
    )
    found = {}
    for covariance in ("full", "separable"):
        point = at(*[3.0] * 6)
        optimizer = CMAES([point], sigma=1.0, covariance=covariance, seed=0)
        turned = Objective([point], lambda points: ellipsoid(points @ turn))
        walked(optimizer, turned, 250)
        found[covariance] = optimizer.measured["best"]
    assert found["full"] < 1e-10 < found["separable"]


def rastrigin(points: Tensor) -> Tensor:
    return (points.square() + 20 * torch.sin(math.pi * points).square()).sum(dim=1)


@pytest.mark.parametrize("restarts", few(["bipop", "ipop"], 1))
def test_restarts_find_what_one_run_does_not(restarts: str) -> None:
    reached = {}
    for choice in ("none", restarts):
        point = at(3.3, 3.3)
        optimizer = CMAES([point], sigma=0.5, restarts=choice, evaluate="best", seed=1)
        walked(optimizer, Objective([point], rastrigin, still=True), 900)
        reached[choice] = float(rastrigin(point.detach()[None])), optimizer.measured
    assert reached["none"][0] > 0.5 and reached[restarts][0] < 1e-9
    assert reached[restarts][1]["restarts"] >= 1
    assert reached[restarts][1]["best"] == reached[restarts][0]


RUN = {"first": (10, 1.0), "population": 10, "sigma0": 1.0, "small": True, "doubled": 0}
RUN |= {"spent": [0, 0], "limit": 0, "began": 0, "number": 0, "generation": 100}


def test_the_regime_that_has_spent_less_comes_next() -> None:
    import random

    run, kinds, sizes = dict(RUN), [], []
    for _ in range(30):
        run = next_run(run, "bipop", random.Random(len(kinds)))
        kinds.append(run["small"])
        sizes.append(run["population"])
        run["generation"] = run["began"] + 100
    large = [size for size, small in zip(sizes, kinds, strict=True) if not small]
    assert large == [20 * 2**k for k in range(len(large))] and len(large) >= 3
    assert all(10 <= size <= large[-1] for size, small in zip(sizes, kinds, strict=True) if small)
    assert kinds[0] is False and True in kinds


@pytest.mark.parametrize(
    ("changes", "spread", "why"),
    [
        ({"bests": [1.0] * 99, "losses": [1.0] * 10}, (1, 1, 1), "the losses are equal"),
        ({}, (1e-12, 1e-13, 10), "the steps are too small"),
        ({}, (1e5, 1e4, 10), "the steps grow"),
        ({}, (1, 1e-8, 1e8), "the covariance is ill-conditioned"),
        ({"generation": 10**5}, (1, 1, 1), "it has taken long"),
        ({}, (1, 1, 1), None),
    ],
)
def test_when_a_run_is_at_its_end(changes: Any, spread: Any, why: str | None) -> None:
    falling = [1.0 / (k + 1) for k in range(99)]
    run = {**RUN, "bests": falling, "medians": falling, "losses": [3.0] * 10, **changes}
    assert stops(run, spread, 10) == why


def test_it_stagnates_where_medians_no_longer_fall() -> None:
    rising = [1.0 + k for k in range(400)]
    run = {**RUN, "bests": rising, "medians": rising, "losses": [500.0]}
    assert stops(run, (1, 1, 1), 10) == "it stagnates"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"population": 1}, "population=1: needs at least 2"),
        ({"covariance": "ful"}, "covariance=ful: expected full or separable"),
        ({"restarts": "never"}, "restarts=never: expected none, ipop, bipop"),
        ({"restarts": "bipop"}, "only with evaluate=best"),
        ({"sigma": 0.0}, "sigma must be above 0"),
    ],
)
def test_settings_out_of_range(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        CMAES([at(1.0, 2.0)], **settings)


def test_a_covariance_too_large_is_reckoned_and_refused() -> None:
    many = torch.nn.Parameter(torch.zeros(10_000_000, device="meta"))
    said = "of 10,000,000 parameters would keep matrices of 2 PiB.*8 GiB.*covariance=separable"
    with pytest.raises(ValueError, match=said):
        CMAES([many], covariance="full")
    with pytest.raises(ValueError, match="a population of 52 of 12 GiB"):
        CMAES([many])
    CMAES([torch.nn.Parameter(torch.zeros(1_000_000, device="meta"))])


@pytest.mark.parametrize(("size", "covariance"), [(2000, "full"), (2001, "separable")])
def test_a_covariance_is_full_where_parameters_are_few(size: int, covariance: str) -> None:
    few = CMAES([torch.nn.Parameter(torch.zeros(size))])
    assert few.settings["covariance"] == covariance


def test_equal_losses_do_no_harm() -> None:
    point = at(1.0, 2.0, 3.0)
    path = walked(CMAES([point], seed=0), Objective([point], lambda p: 0 * sphere(p)), 300)
    assert bool(torch.stack(path).isfinite().all())
