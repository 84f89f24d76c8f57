"""A look at a run: what it sees, and that the run is afterwards as it was."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from training.experiments import experiment

from optbench.errors import UserError
from optbench.instruments.look import Look
from optbench.training.trainer import Trainer


@pytest.fixture
def trainer() -> Trainer:
    return experiment("model=mlp", "dataset=digits", "model.dropout=0.5", "batch_size=16").trainer()


def test_an_objective_is_the_mean_loss_over_examples(trainer: Trainer) -> None:
    look = Look(trainer)
    with look.objective(examples=100, chunk=32) as objective:
        loss = objective.loss()
    source, indices = trainer.feed.source, trainer.feed.indices
    chosen = indices[torch.arange(100) * len(indices) // 100]
    ((inputs, targets),) = source.stream(chosen, [(0, 100)])
    look.module.eval()
    torch.testing.assert_close(loss, cross_entropy(look.module(inputs), targets).detach())


def test_the_validation_set_is_another(trainer: Trainer) -> None:
    look = Look(trainer)
    with look.objective() as train, look.objective(split="val") as val:
        assert train.loss() != val.loss()
    assert look.size("train") + look.size("val") == 1437


def test_nothing_is_left_of_it() -> None:
    trainer = experiment(
        "model=mlp", "dataset=digits", "model.batch_norm=true", "steps=2"
    ).trainer()
    look = Look(trainer)
    trainer.run(until=1)
    state = {name: tensor.clone() for name, tensor in look.module.state_dict().items()}
    modes = [part.training for part in look.module.modules()]
    drawn = torch.get_rng_state()
    with look.next_step() as objective:
        objective()
    with look.objective(examples=20, mode="train") as objective:
        objective()
    with look.moved([torch.zeros_like(p) for p in look.parameters]):
        assert not any(p.any() for p in look.parameters)
    assert all(torch.equal(state[name], t) for name, t in look.module.state_dict().items())
    assert modes == [part.training for part in look.module.modules()]
    assert torch.equal(torch.get_rng_state(), drawn)
    assert all(p.grad is None for p in look.parameters)


def test_what_there_is_not_is_said(trainer: Trainer) -> None:
    with pytest.raises(UserError, match="player=critic: no such player; there is model"):
        Look(trainer, "critic")
    trainer.evaluations.validation = None
    with pytest.raises(UserError, match="no validation set"):
        Look(trainer).size("val")


def test_dropout_is_off_in_mode_eval(trainer: Trainer) -> None:
    look = Look(trainer)
    seen = []
    drop = next(part for part in look.module.modules() if isinstance(part, nn.Dropout))
    drop.register_forward_pre_hook(lambda part, _: seen.append(part.training))
    with look.objective(examples=8) as objective:
        objective.loss()
    with look.objective(examples=8, mode="train") as objective:
        objective.loss()
    assert seen == [False, True]
