"""Alpha: on quadratics it is known; afterwards the run is as it was."""

from __future__ import annotations

import pytest
import torch
from training.experiments import experiment

from optbench.instruments.cockpit.alpha import Alpha, Seen, alpha
from optbench.instruments.look import Look

QUADRATIC = ("model=quadratic", "model.dim=5", "schedule=constant")


@pytest.mark.parametrize("lr", [0.3, 1.2, 2.5])
def test_on_a_quadratic_it_says_how_far_the_step_goes(lr: float) -> None:
    look = Look(experiment(*QUADRATIC, "optimizer=sgd", f"optimizer.lr={lr}").trainer())
    q = look.module.eigenvalues.double()  # type: ignore[union-attr, operator]
    slope = q * look.parameters[0].detach().double()
    wanted = lr * float((q * slope**2).sum() / (slope**2).sum()) - 1
    found = Alpha().measure(look)
    assert found.values["alpha"] == pytest.approx(wanted, rel=1e-6, abs=1e-6)


def test_noisy_observations_count_by_their_variances() -> None:
    # At t = 1, f = (x - 1)^2 / 2: the bottom. The loss at the end is far off, and hardly counts.
    start, end = Seen(0.5, -1.0, 1e-6, 1e-6), Seen(5.0, 0.0, 1e6, 1e-6)
    assert alpha(start, end, 1.0) == pytest.approx(0, abs=1e-4)
    design = torch.tensor([[1.0, 0, 0], [1, 2, 4], [0, 1, 0], [0, 1, 4]], dtype=torch.float64)
    weights = torch.tensor([1 / 0.1, 1 / 0.2, 1 / 0.3, 1 / 0.4], dtype=torch.float64).diag()
    seen = torch.tensor([1.0, 0.7, -0.9, 0.4], dtype=torch.float64)
    _, slope, bend = torch.linalg.solve(design.T @ weights @ design, design.T @ weights @ seen)
    wanted = float(2 * 2 / (-slope / bend) - 1)
    observed = alpha(Seen(1.0, -0.9, 0.1, 0.3), Seen(0.7, 0.4, 0.2, 0.4), 2.0)
    assert observed == pytest.approx(wanted, rel=1e-9)


def test_where_it_goes_down_ever_faster_it_is_minus_one() -> None:
    assert alpha(Seen(1.0, -1.0, 1e-6, 1e-6), Seen(-2.0, -3.0, 1e-6, 1e-6), 1.0) == -1


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "lion", "schedulefree", "shampoo"])
def test_the_step_is_taken_back_to_the_bit(optimizer: str) -> None:
    words = ("dataset=digits", f"optimizer={optimizer}", "steps=8", "schedule=cosine")
    words = (*words, "model.dropout=0.2")
    ends = []
    for looked in (False, True):
        trainer = experiment(*words).trainer()
        for until in (0, 3, 6, 8):
            trainer.run(until)
            if looked and until < 8:
                assert "alpha" in Alpha().measure(Look(trainer)).values
        ends.append([p.detach().clone() for p in trainer.players[0].parameters])
    assert all(torch.equal(one, other) for one, other in zip(*ends, strict=True))


def test_a_step_that_evaluates_the_loss_itself_is_not_tried() -> None:
    look = Look(experiment("dataset=digits", "optimizer=lbfgs").trainer())
    assert str(Alpha().lacking(look)).startswith("optimizer: a step of LBFGS evaluates the loss")


def test_a_step_of_no_length_gives_nothing() -> None:
    look = Look(experiment("dataset=digits", "optimizer=sgd", "optimizer.lr=0").trainer())
    found = Alpha().measure(look)
    assert not found.values and found.notes == ["the next step has length 0"]
