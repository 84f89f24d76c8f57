"""Successive updates, and what momentum makes of lr."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn
from training.experiments import experiment

from optbench.instruments import directions
from optbench.instruments.base import Measurement
from optbench.instruments.effective_lr import EffectiveLr
from optbench.instruments.look import Look
from optbench.instruments.next_updates import Updates
from optbench.instruments.points import here
from optbench.optim.first_order.heavy_ball import HeavyBall
from optbench.optim.first_order.nag import NAG
from optbench.optim.needs import needs_of
from optbench.optim.wrappers.sam import SAM
from optbench.training.trainer import Trainer


def measured(optimizer: torch.optim.Optimizer) -> Measurement:
    player = SimpleNamespace(optimizer=optimizer, needs=needs_of(optimizer))
    look: Any = SimpleNamespace(player=player)
    assert EffectiveLr().lacking(look) is None
    return EffectiveLr().measure(look)


def weights(count: int = 1) -> list[nn.Parameter]:
    return [nn.Parameter(torch.ones(2)) for _ in range(count)]


@pytest.mark.parametrize(
    ("optimizer", "wanted"),
    [
        (torch.optim.SGD(weights(), 0.1, momentum=0.9), 1.0),
        (torch.optim.SGD(weights(), 0.1, momentum=0.9, dampening=0.5), 0.5),
        (torch.optim.SGD(weights(), 0.1), 0.1),
        (NAG(weights(), 0.1, momentum=0.5), 0.2),
        (HeavyBall(weights(), 0.1, momentum=0.8), 0.5),
        (torch.optim.Adam(weights(), 0.01), 0.01),
        (torch.optim.RMSprop(weights(), 0.01, momentum=0.9), 0.1),
        (SAM(torch.optim.SGD(weights(), 0.1, momentum=0.9)), 1.0),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, torch.optim.Optimizer) else "",
)
def test_the_effective_lr(optimizer: torch.optim.Optimizer, wanted: float) -> None:
    found = measured(optimizer)
    assert found.values == {"effective_lr": pytest.approx(wanted)}
    assert len(found.notes) == 1


def test_groups_have_their_own_and_what_is_not_known_is_said() -> None:
    one, other = weights(2)
    groups = [{"params": [one]}, {"params": [other], "lr": 0.01}]
    found = measured(torch.optim.SGD(groups, 0.1, momentum=0.9))
    assert found.values == {
        "effective_lr": pytest.approx(1.0),
        "effective_lr/1": pytest.approx(0.1),
    }
    unknown = measured(torch.optim.Muon([nn.Parameter(torch.ones(2, 2))], momentum=0.95))
    assert unknown.values == {}
    said = "whether Muon adds up or averages with momentum=0.95 is not known here"
    assert said in unknown.notes


@pytest.mark.parametrize("name", ["sgd", "nag"])
def test_it_is_the_step_that_a_constant_gradient_ends_at(name: str) -> None:
    """The displacement under a constant gradient, after many steps, is that times it."""
    trainer = experiment(
        *("task=function", "model=quadratic", "model.dim=1", "model.eigenvalues=[1e-9]"),
        *("model.start=1e9", f"optimizer={name}", "optimizer.lr=0.1", "optimizer.momentum=0.8"),
        *("optimizer.weight_decay=0", "steps=200"),
    ).trainer()
    trainer.run(until=100)
    look = Look(trainer)
    found = Updates(steps=2).measure(look).values["updates/size"]
    assert found == pytest.approx(EffectiveLr().measure(look).values["effective_lr"], rel=1e-4)


def test_updates_of_gradient_descent_that_is_too_long_undo_each_other() -> None:
    def cosine(lr: float) -> float:
        trainer = experiment(
            *("task=function", "model=quadratic", "model.dim=1", "model.eigenvalues=[1]"),
            *("optimizer=sgd", f"optimizer.lr={lr}", "optimizer.momentum=0"),
        ).trainer()
        return Updates(steps=5).measure(Look(trainer)).values["updates/cosine"]

    assert cosine(1.5) == pytest.approx(-1)
    assert cosine(0.5) == pytest.approx(1)


def test_they_are_the_steps_that_the_run_then_takes() -> None:
    trainer = experiment(
        *("model=mlp", "dataset=digits", "model.dropout=0.5", "optimizer=adam", "steps=6"),
        *("schedule=cosine", "batch_size=16"),
    ).trainer()
    trainer.run(until=2)
    look = Look(trainer)
    found = Updates(steps=3).measure(look)
    points = [here(look).state]
    for step in (3, 4, 5):
        trainer.run(until=step)
        points.append(here(look).state)
    names = look.player.names
    moved = [[b[name] - a[name] for name in names] for a, b in pairwise(points)]
    assert found.tables["sizes"] == [directions.norm(each) for each in moved]
    assert found.tables["cosines"][1] == directions.cosine(moved[2], moved[1])
    assert found.tables["steps"] == [3, 4, 5]


def test_updates_that_are_no_numbers_end_it() -> None:
    trainer = experiment("model=mlp", "dataset=digits", "optimizer.lr=1e30").trainer()
    found = Updates(steps=5).measure(Look(trainer))
    assert len(found.tables["sizes"]) < 5
    assert any("left out, or not finite" in note for note in found.notes)


def test_what_noise_would_give_is_said(noisy: Trainer) -> None:
    found = Updates(steps=400).measure(Look(noisy))
    assert any("about 0.9" in note for note in found.notes)
    assert found.values["updates/cosine"] == pytest.approx(0.9, abs=0.05)


@pytest.fixture
def noisy() -> Trainer:
    """Gradients that are almost all noise, with momentum 0.9."""
    return experiment(
        *("task=function", "model=noisy_quadratic", "model.dim=50", "model.condition=1"),
        *("dataset.noise=1", "model.start=0", "batch_size=1", "steps=500"),
        *("optimizer=sgd", "optimizer.lr=1e-5", "optimizer.momentum=0.9"),
    ).trainer()


def test_beyond_the_runs_end_it_is_said() -> None:
    trainer = experiment("model=mlp", "dataset=digits", "schedule=cosine", "steps=3").trainer()
    trainer.run()
    found = Updates(steps=2).measure(Look(trainer))
    assert "the run ends at step 3: the schedule is beyond its end after that" in found.notes
    assert "no update moved anything, as with a learning rate of 0" in found.notes
    assert "updates/cosine" not in found.values


def test_too_few_steps_are_refused() -> None:
    with pytest.raises(ValueError, match="steps=1: expected at least 2"):
        Updates(steps=1)
    assert torch.is_grad_enabled()
