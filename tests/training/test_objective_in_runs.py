"""An objective beside a run, and inside a step: what it leaves behind, and what it does not."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from optbench.assemble.experiment import Experiment
from optbench.monitor.record import Recorder
from optbench.training import rng
from optbench.training.callback import Callback
from optbench.training.objective import Objective
from optbench.training.signals import Interruption
from optbench.training.trainer import Trainer

from .experiments import Live, Memory, experiment, fit, player_of, trained, weights_of
from .runs import assert_same_bits

WORDS = "the quick brown fox jumps over the lazy dog while five wizards box and pack a jug. "


def trainer_of(made: Experiment, *callbacks: Callback) -> Trainer:
    recorder = Recorder([Memory()], live=Live(lambda step: None))
    return made.trainer(recorder, None, Interruption(), callbacks)


class Look(Callback):
    """Looks after every step, in the middle of a pass over the data."""

    def on_step_end(self, trainer: Trainer, step: int) -> None:
        for player in trainer.players:
            wanted = [p.requires_grad for p in player.parameters]
            look(trainer.objective(player.name))
            assert [p.requires_grad for p in player.parameters] == wanted
            assert all(p.grad is None for p in player.parameters)


def look(objective: Objective) -> list[Tensor]:
    """Everything that only looks."""
    parameters = objective._aside.player.parameters
    vectors = [torch.ones_like(p) for p in parameters]
    stacked = [torch.stack([p.detach(), p.detach() + 1]) for p in parameters]
    seen = [objective.loss(), objective.losses(stacked), *objective.hvp(parameters, vectors)]
    if objective._aside.task.splits:
        seen += objective.ggnvp(parameters, vectors)
    return seen


TEXT = ["dataset=text", "dataset.path=text.txt", "dataset.context=8", "batch_size=4"]

RUNS = {
    "dropout": ["model.dropout=0.3", "dataset.crop=1"],
    "micro-batches": ["model.dropout=0.3", "accumulate=3", "batch_size=50"],
    "batch norm": ["model=wrn", "model.depth=10", "model.width=1", "batch_size=8"],
    "sophia": ["optimizer=sophia", "optimizer.hessian_every=2", "model.dropout=0.3"],
    "k-fac": ["optimizer=kfac", "optimizer.factors_every=2", "model.dropout=0.3", "accumulate=2"],
    "carried state": [*TEXT, "model=lstm", "model.width=6", "model.dropout=0.2", "task.carry=true"],
    "two players": ["task=adversarial", "model=dcgan", "model.width=4", "dataset=digits"],
    "fp16": ["precision=fp16", "model.dropout=0.3"],
}


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
def test_a_run_that_was_looked_at_is_the_same_to_the_bit(run: list[str]) -> None:
    Path("text.txt").write_text((WORDS * 8)[:440], encoding="utf-8")

    def ended(looks: bool) -> dict[str, Any]:
        made = experiment("steps=6", *run)
        trainer = trainer_of(made, *([Look()] if looks else []))
        for step in (0, 1, 4) if looks else ():
            trainer.run(until=step)
            Look().on_step_end(trainer, step)
        trainer.run()
        return {
            **made.state.shared()["players"],
            "own": made.state.own(),
            "buffers": [b for p in made.state.players for b in p.module.buffers()],
        }

    assert_same_bits(ended(looks=True), ended(looks=False))


def test_it_is_of_the_next_steps_examples_at_the_present_weights() -> None:
    made = experiment("steps=4", "batch_size=20")
    trainer = trainer_of(made)
    trainer.run(until=3)
    work = list(made.feed.epoch(0))[3]
    ((inputs, targets), _), *_ = work.micros
    module = player_of(made).module
    assert torch.equal(trainer.objective().loss(), cross_entropy(module(inputs), targets))


def test_at_the_end_of_an_epoch_it_is_of_the_next_one() -> None:
    made = experiment("epochs=2", "batch_size=full")
    trainer = trainer_of(made)
    trainer.run(until=1)
    assert torch.isfinite(trainer.objective().loss())


def test_there_has_to_be_such_a_player() -> None:
    with pytest.raises(ValueError, match="no player critic; there is model"):
        trainer_of(experiment("steps=1")).objective("critic")


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("clip", ["null", "0.1"])
def test_called_it_leaves_the_gradients_of_a_step(precision: str, clip: str) -> None:
    run = ["steps=3", "optimizer=sgd", "optimizer.lr=1", f"clip.norm={clip}"]
    made = experiment(*run, f"precision={precision}")
    trainer = trainer_of(made)
    trainer.run(until=2)
    player, before = player_of(made), weights_of(made)
    for _ in range(2):
        trainer.objective()()
    gradients = torch.cat([p.grad.flatten() for p in player.parameters if p.grad is not None])
    trainer.run()
    assert torch.allclose(before - weights_of(made), gradients, rtol=1e-3, atol=1e-6)


def test_all_that_looks_sees_the_first_calls_random_numbers() -> None:
    made = experiment("steps=3", "model.dropout=0.5", "batch_size=20", "accumulate=2")
    objective, player = trainer_of(made).objective(), player_of(made)
    vectors = [torch.ones_like(p) for p in player.parameters]
    before = objective.loss()
    first = objective()
    gradients = [p.grad.clone() for p in player.parameters if p.grad is not None]
    assert torch.allclose(first, before)
    assert not torch.allclose(objective(), first), "a closure's next call draws anew, as always"
    size = 1e-3
    product = objective.hvp(player.parameters, vectors)
    with torch.no_grad():
        torch._foreach_add_(player.parameters, vectors, alpha=size)
    rng.set_generators(objective._start)
    objective()
    moved = [p.grad for p in player.parameters if p.grad is not None]
    for one, other, wanted in zip(moved, gradients, product, strict=True):
        assert torch.allclose((one - other) / size, wanted, rtol=0.1, atol=0.02)


def test_sophias_estimates_draw_nothing_and_move_no_buffer() -> None:
    """With an lr of 0 the run is the same, however often the Hessian is looked at."""
    run = ["steps=5", "optimizer=sophia", "optimizer.lr=0", "batch_size=8"]
    for model in (["model.dropout=0.5"], ["model=wrn", "model.depth=10", "model.width=1"]):
        states = []
        for every in (1, 1000):
            made = experiment(*run, *model, f"optimizer.hessian_every={every}")
            fit(made)
            states.append((made.state.own(), dict(player_of(made).module.state_dict())))
        assert_same_bits(*states)


def test_sam_around_sophia_has_both() -> None:
    plain = ["steps=4", "optimizer=sophia", "optimizer.hessian_every=2", "wrapper=sam"]
    one, other = trained(*plain), trained(*plain, "wrapper.rho=0.5")
    assert torch.isfinite(one).all() and not torch.equal(one, other)


def test_a_run_that_called_the_objective_adds_no_gradient_to_the_next_step() -> None:
    made, plain = (experiment("steps=3", "batch_size=20") for _ in range(2))
    trainer = trainer_of(made)
    trainer.run(until=1)
    start = copy.deepcopy(rng.capture())
    trainer.objective()()
    rng.restore(start)
    trainer.run()
    fit(plain)
    assert torch.equal(weights_of(made), weights_of(plain))


def test_losses_at_other_points_leave_the_parameters_where_they_are() -> None:
    made = experiment("steps=3")
    objective, before = trainer_of(made).objective(), weights_of(made)
    stacked = [torch.zeros(3, *p.shape) for p in player_of(made).parameters]
    for way in (None, "vmap", "loop"):
        losses = objective.losses(stacked, way=way)  # type: ignore[arg-type]
        assert torch.allclose(losses, torch.tensor(10.0).log().expand(3))
    assert torch.equal(weights_of(made), before)


@pytest.mark.parametrize("more", [["precision=fp16"], ["activation_checkpointing=true"]])
def test_what_is_captured_makes_the_gradient_however_it_is_computed(more: list[str]) -> None:
    """Unscaled, and once for each micro-batch although the forward pass is done again."""
    gpt = ["model=gpt", "model.layers=1", "model.heads=2", "model.width=8", *TEXT]
    Path("text.txt").write_text((WORDS * 8)[:440], encoding="utf-8")
    made = experiment("steps=1", "accumulate=2", *gpt, *more)
    objective = trainer_of(made).objective()
    modules = player_of(made).module.modules()
    layers = [m for m in modules if isinstance(m, nn.Linear) and m.out_features == 32]
    with objective.capture(layers) as seen:
        objective()
    for layer in layers:
        pairs = [(s.weight * s.output_gradients.flatten(0, 1), s.inputs) for s in seen[layer]]
        assert len(pairs) == 2
        found = sum(g.float().T @ a.flatten(0, 1).float() for g, a in pairs)
        assert isinstance(found, Tensor) and layer.weight.grad is not None
        assert torch.allclose(found, layer.weight.grad, rtol=0.05, atol=1e-4)
    assert layers


@pytest.mark.slow
def test_a_compiled_model_is_looked_at_as_it_was_written() -> None:
    seen = []
    for compiles in ("true", "false"):
        made = experiment("steps=3", "batch_size=8", f"compile={compiles}")
        trainer = trainer_of(made)
        seen.append(look(trainer.objective()))
        trainer.run()
        assert trainer.progress.step == 3
    torch.testing.assert_close(*seen)
