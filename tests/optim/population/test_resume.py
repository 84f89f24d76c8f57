"""Each is to the last bit the same after its state went through a file, at any step."""

from __future__ import annotations

import copy
import io
import pickle
from typing import Any

import pytest
import torch
from few import few
from torch import nn

from optbench.optim.exact_state import exact_state, load_exactly
from optbench.optim.population.cma_es import CMAES
from optbench.optim.population.es import ES
from optbench.optim.population.ga import GA
from optbench.optim.population.pso import PSO

from . import Objective, ellipsoid, walked

CASES: dict[str, tuple[Any, dict[str, Any]]] = {
    "es": (ES, {"lr": 0.1, "sigma": 0.1}),
    "es sgd": (ES, {"lr": 0.1, "inner": "sgd", "momentum": 0.9}),
    "es best": (ES, {"evaluate": "best"}),
    "cma_es": (CMAES, {}),
    "cma_es separable": (CMAES, {"covariance": "separable"}),
    "cma_es bipop": (CMAES, {"restarts": "bipop", "evaluate": "best", "sigma": 1e-5}),
    "ga": (GA, {}),
    "ga discrete": (GA, {"values": [-1.0, 0.0, 1.0], "population": 10}),
    "pso": (PSO, {}),
    "pso noisy": (PSO, {"noisy": True, "evaluate": "mean"}),
}


def made(name: str, dtype: torch.dtype) -> tuple[Any, Objective]:
    cls, settings = CASES[name]
    parameters = [
        nn.Parameter(torch.ones(2, 3, dtype=dtype)),
        nn.Parameter(torch.ones(4).to(dtype)),
    ]
    return cls(parameters, seed=4, **settings), Objective(parameters, ellipsoid)


@pytest.mark.parametrize("split", few([2, 1, 13], 1))
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("name", CASES)
def test_it_resumes_to_the_last_bit(name: str, dtype: torch.dtype, split: int) -> None:
    optimizer, objective = made(name, dtype)
    walked(optimizer, objective, split)
    fresh, again = made(name, dtype)
    file = io.BytesIO()
    points = [p.detach() for p in objective.parameters]
    torch.save([exact_state(optimizer), points], file)
    file.seek(0)
    state, points = torch.load(file, weights_only=True)
    load_exactly(fresh, state)
    with torch.no_grad():
        for parameter, point in zip(again.parameters, points, strict=True):
            parameter.copy_(point)
    expected, found = walked(optimizer, objective, 60), walked(fresh, again, 60)
    assert all(torch.equal(one, other) for one, other in zip(expected, found, strict=True))
    assert fresh.measured == optimizer.measured
    assert not torch.equal(torch.cat(objective.asked)[0], torch.cat(objective.asked)[-1])


@pytest.mark.parametrize("way", [copy.deepcopy, lambda pair: pickle.loads(pickle.dumps(pair))])
@pytest.mark.parametrize("name", CASES)
def test_a_copy_walks_on_alike(name: str, way: Any) -> None:
    optimizer, objective = made(name, torch.float64)
    walked(optimizer, objective, 3)
    other, points = way((optimizer, objective.parameters))
    again = Objective(points, ellipsoid)
    assert other.flat.parameters[0] is points[0] is not objective.parameters[0]
    expected, found = walked(optimizer, objective, 5), walked(other, again, 5)
    assert all(torch.equal(one, two) for one, two in zip(expected, found, strict=True))
    assert other.measured == optimizer.measured


def test_the_bipop_case_restarts() -> None:
    optimizer, objective = made("cma_es bipop", torch.float64)
    walked(optimizer, objective, 73)
    assert optimizer.measured["restarts"] >= 1


@pytest.mark.parametrize("name", CASES)
def test_another_seed_walks_elsewhere(name: str) -> None:
    ends = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        cls, settings = CASES[name]
        parameter = nn.Parameter(torch.ones(10))
        objective = Objective([parameter], ellipsoid)
        walked(cls([parameter], **settings), objective, 3)
        ends.append(torch.cat(objective.asked))
    assert not torch.equal(*ends)


@pytest.mark.parametrize("name", CASES)
def test_parts_of_a_population_change_nothing(name: str) -> None:
    ends = []
    for chunk in (100, 3):
        optimizer, objective = made(name, torch.float64)
        objective.chunk = chunk
        ends.append(walked(optimizer, objective, 10)[-1])
    assert torch.allclose(*ends, rtol=1e-12)
