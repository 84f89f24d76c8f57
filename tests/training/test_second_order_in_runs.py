"""Second-order optimizers in float32 on ordinary workloads: what they see, record, and leave."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from few import few

from optbench.monitor.record import Recorder
from optbench.optim.second_order.fisher_diagonal import Diagonal
from optbench.optim.second_order.flat import Flat
from optbench.training.signals import Interruption
from optbench.training.trainer import Trainer

from .experiments import Live, Memory, experiment, fit, player_of, weights_of


def trainer_of(made: Any) -> Trainer:
    trainer: Trainer = made.trainer(
        Recorder([Memory()], live=Live(lambda step: None)), None, Interruption()
    )
    return trainer


DROPOUT = ["model.dropout=0.5", "batch_size=40", "steps=3"]


def test_both_ends_of_a_pair_are_of_the_same_examples_and_random_numbers() -> None:
    """Of a step of 0 along a batch nothing changes, whatever the dropout."""
    made = experiment(*DROPOUT, "optimizer=lbfgs_multibatch")
    trainer = trainer_of(made)
    trainer.run(until=2)
    objective, player = trainer.objective(), player_of(made)
    first = objective()
    gradients = [p.grad.clone() for p in player.parameters if p.grad is not None]
    loss, again = objective.gradients(player.parameters)
    assert torch.allclose(loss, first, rtol=1e-6)
    for one, other in zip(gradients, again, strict=True):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-7)


ALL = ["newton", "gauss_newton", "natural_gradient", "levenberg_marquardt"]
ALL += ["bfgs", "sr1", "lbfgs_multibatch"]


@pytest.mark.parametrize("name", ALL)
def test_the_loss_falls_and_what_it_measures_is_recorded(name: str) -> None:
    lines = [f"optimizer={name}", "steps=6", "batch_size=200", "monitor.every=1"]
    _, memory = fit(experiment("model=logistic", *lines))
    losses = list(memory.values("train/loss").values())
    assert losses[-1] < 0.9 * losses[0]
    assert memory.values("optimizer/step_length").keys() == {1, 2, 3, 4, 5, 6}


def test_the_preconditioner_is_the_empirical_fishers_diagonal() -> None:
    """Of linear layers, of convolutions, and in micro-batches."""
    made = experiment("model=2c2d", "dataset=digits", "batch_size=6", "accumulate=2", "steps=2")
    objective = trainer_of(made).objective()
    player = player_of(made)
    some = [p for p in player.parameters if p.numel() < 2000 or p.ndim == 4]
    diagonal = Diagonal(player.module, Flat(player.parameters))
    with objective.capture(diagonal.layers) as seen:
        objective()
    squares = dict(zip(player.parameters, diagonal.squares(seen), strict=True))
    for parameter in some:
        unit = torch.zeros_like(parameter)
        for place in (0, parameter.numel() // 2, parameter.numel() - 1):
            unit.view(-1)[place] = 1.0
            (row,) = objective.efvp([parameter], [unit])
            unit.zero_()
            wanted = row.reshape(-1)[place]
            assert torch.allclose(
                squares[parameter].reshape(-1)[place], wanted, rtol=1e-3, atol=1e-12
            )
    assert len(some) >= 4


@pytest.mark.parametrize("curvature", ["hessian", "ggn"])
def test_where_no_step_falls_the_weights_stay(curvature: str) -> None:
    """A loss that is one thing here and another elsewhere."""
    made = experiment(
        "optimizer=newton", f"optimizer.curvature={curvature}", "steps=1", "model=logistic"
    )
    player = player_of(made)
    before = weights_of(made)
    objective = trainer_of(made).objective()
    objective.loss = lambda: torch.tensor(1e9)  # type: ignore[method-assign]
    player.optimizer.step(objective)  # type: ignore[arg-type]
    assert torch.equal(weights_of(made), before)
    assert player.optimizer.measured["step_length"] == 0  # type: ignore[attr-defined]
    state = next(iter(player.optimizer.state.values()))
    assert state["damping"] == pytest.approx(1.5e-3)


@pytest.mark.parametrize("name", few(ALL, 2))
def test_under_bf16_the_loss_falls_too(name: str) -> None:
    lines = [f"optimizer={name}", "steps=8", "batch_size=200", "monitor.every=1"]
    made = experiment("model=logistic", "precision=bf16", *lines)
    _, memory = fit(made)
    losses = list(memory.values("train/loss").values())
    assert losses[-1] < 0.9 * losses[0] and weights_of(made).isfinite().all()


@pytest.mark.parametrize("name", few(ALL, 3))
def test_an_lr_of_0_moves_nothing(name: str) -> None:
    """Nor does a schedule that begins with it spoil what comes after."""
    made = experiment(f"optimizer={name}", "model=logistic", "steps=1", "optimizer.lr=0")
    before = weights_of(made)
    fit(made)
    assert torch.equal(weights_of(made), before)
    warmed = experiment(f"optimizer={name}", "model=logistic", "steps=4", "schedule.warmup_steps=3")
    before = weights_of(warmed)
    fit(warmed)
    assert not torch.equal(weights_of(warmed), before) and weights_of(warmed).isfinite().all()


@pytest.mark.parametrize("name", ALL)
def test_a_gradient_that_is_not_finite_is_left_out(name: str) -> None:
    lines = [f"optimizer={name}", "model=logistic", "steps=1", "nonfinite=skip"]
    made = experiment(*lines)
    objective, player = trainer_of(made).objective(), player_of(made)

    def spoiled() -> Any:
        loss = type(objective).__call__(objective)
        for parameter in player.parameters:
            parameter.grad = torch.full_like(parameter, torch.nan)
        return loss

    for look in ("loss", "gradients", "hvp", "ggnvp", "efvp", "at_rest", "capture", "mean"):
        setattr(spoiled, look, getattr(objective, look))
    before = weights_of(made)
    player.optimizer.step(spoiled)
    assert torch.equal(weights_of(made), before)
