"""Sharpness: on quadratics against closed forms, and the run is afterwards as it was."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from torch import Tensor
from training.experiments import experiment

from optbench.instruments import directions
from optbench.instruments.look import Look
from optbench.instruments.sharpness import WARNING, Sharpness
from optbench.training.trainer import Trainer

EIGENVALUES = [0.1, 0.5, 1.0, 4.0]
START = [0.3, -0.2, 0.1, 0.05]


@pytest.fixture(scope="module")
def quadratic() -> Trainer:
    return experiment(
        *("task=function", "model=quadratic", "model.dim=4", f"model.eigenvalues={EIGENVALUES}"),
        f"model.start={START}",
    ).trainer()


def greatest_rise(curvature: Tensor, point: Tensor, rho: float) -> float:
    """The maximum over a ball of a quadratic with a diagonal Hessian: (mu - h) e = h w, |e| = rho,
    mu above the greatest eigenvalue (the trust-region problem)."""
    h, w = curvature.numpy(), point.numpy()

    def too_long(mu: float) -> float:
        return float(np.linalg.norm(h * w / (mu - h))) - rho

    mu = brentq(too_long, h.max() + 1e-12, h.max() + 1e6, xtol=1e-15)
    e = h * w / (mu - h)
    return float(0.5 * (h * (w + e) ** 2).sum() - 0.5 * (h * w**2).sum())


def test_the_greatest_rise_in_a_ball(quadratic: Trainer) -> None:
    h, w = torch.tensor(EIGENVALUES).double(), torch.tensor(START).double()
    found = Sharpness(rho=0.2, ascents=100, draws=2, examples=1).measure(Look(quadratic)).values
    assert found["sharpness/sam"] == pytest.approx(greatest_rise(h, w, 0.2), rel=1e-6)
    slope = h * w
    ahead = w + 0.2 * slope / slope.norm()
    first = 0.5 * (h * ahead**2).sum() - 0.5 * (h * w**2).sum()
    assert found["sharpness/sam/first_order"] == pytest.approx(float(first), rel=1e-6)
    assert found["sharpness/loss"] == pytest.approx(float(0.5 * (h * w**2).sum()))


def test_the_adaptive_ball_is_one_in_units_of_the_weights(quadratic: Trainer) -> None:
    h, w = torch.tensor(EIGENVALUES).double(), torch.tensor(START).double()
    found = (
        Sharpness(adaptive_rho=0.4, ascents=200, draws=2, examples=1)
        .measure(Look(quadratic))
        .values
    )
    wanted = greatest_rise(h * w**2, w.sign(), 0.4)  # w + |w| u, in u
    assert found["sharpness/adaptive"] == pytest.approx(wanted, rel=1e-6)


def test_an_ascent_never_falls_on_a_convex_function(quadratic: Trainer) -> None:
    rises = (
        Sharpness(rho=0.5, draws=2, examples=1).measure(Look(quadratic)).tables["ascents"]["sam"]
    )
    assert all(later >= earlier - 1e-12 for earlier, later in pairwise(rises))


def test_average_rises_are_the_trace(quadratic: Trainer) -> None:
    h, w = torch.tensor(EIGENVALUES).double(), torch.tensor(START).double()
    found = Sharpness(rho=0.2, draws=300, ascents=1, examples=1).measure(Look(quadratic))
    errors = found.tables["standard_errors"]
    wanted = {
        "average": 0.2**2 / 2 * float(h.mean()),
        "average_adaptive": 0.5**2 / 2 * float((h * w**2).mean()),
    }
    for name, value in wanted.items():
        assert abs(found.values[f"sharpness/{name}"] - value) < 4 * errors[name]
        assert errors[name] < 0.1 * value


def test_filters_move_by_a_share_of_their_norms() -> None:
    trainer = experiment("model=mlp", "dataset=digits").trainer()
    look = Look(trainer)
    found = Sharpness(reach=0.3, draws=2, ascents=1, examples=64).measure(look)
    drawn = directions.generator(0)
    rises = []
    with look.objective(64) as objective:
        before = float(objective.loss())
        for _ in range(2):
            way = directions.normal(look.parameters, drawn)
            for d, p in zip(way, look.parameters, strict=True):
                for row in range(len(d)):
                    d[row] = d[row] / d[row].norm() * p[row].norm().detach() if d.ndim > 1 else 0
            sides = []
            for far in (0.3, -0.3):
                to = [(p + far * d).detach() for p, d in zip(look.parameters, way, strict=True)]
                with look.moved(to):
                    sides.append(float(objective.loss()))
            rises.append(sum(sides) / 2 - before)
    mean = sum(rises) / 2
    assert found.values["sharpness/filter_normalised"] == pytest.approx(mean, rel=1e-4)


def test_at_a_minimum_it_starts_somewhere_near() -> None:
    trainer = experiment(
        *("task=function", "model=quadratic", "model.dim=2", "model.eigenvalues=[1,3]"),
        "model.start=0",
    ).trainer()
    found = Sharpness(rho=0.1, ascents=40, draws=2, examples=1).measure(Look(trainer)).values
    assert found["sharpness/sam"] == pytest.approx(0.1**2 / 2 * 3, rel=1e-6)
    assert found["sharpness/adaptive"] == 0  # no weight, no neighbourhood


def test_what_it_goes_with_is_said(quadratic: Trainer) -> None:
    assert WARNING in Sharpness(ascents=1, draws=2).measure(Look(quadratic)).notes
    trainer = experiment("model=mlp", "model.batch_norm=true", "dataset=digits").trainer()
    notes = Sharpness(ascents=1, draws=2, examples=32).measure(Look(trainer)).notes
    assert any("batch norm has its running statistics of step 0" in note for note in notes)
    assert any("32 of 1,293 training examples" in note for note in notes)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"rho": 0}, "rho=0"), ({"ascents": 0}, "ascents=0"), ({"draws": 1}, "draws=1")],
)
def test_what_is_out_of_range_is_refused(wrong: dict[str, int], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Sharpness(**wrong)  # type: ignore[arg-type]
