"""Several players in one run: whose turn it is, what each one's step leaves alone, what is told."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from optbench.assemble.experiment import Experiment
from optbench.errors import UserError
from optbench.monitor.record import Recorder
from optbench.training.player import Player

from .experiments import experiment, fit
from .runs import assert_same_run, whole_and_resumed

GAN = ["model=dcgan", "model.width=4", "model.latent=6", "dataset=digits", "batch_size=100"]
EVERY = "player.generator.update_every"


def players_of(made: Experiment) -> dict[str, Player]:
    return {player.name: player for player in made.state.players}


def weights(player: Player) -> list[Tensor]:
    return [p.detach().clone() for p in player.parameters]


def same(one: list[Tensor], other: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_a_step_is_a_turn_of_each() -> None:
    made = experiment(*GAN, "steps=6")
    fit(made)
    assert {name: player.step for name, player in players_of(made).items()} == {
        "discriminator": 6,
        "generator": 6,
    }
    assert made.state.progress.step == 6


def test_gradients_are_those_of_the_player_alone() -> None:
    """Each one's first step equals one by hand, with gradients of its own loss alone."""
    made = experiment(*GAN, "steps=1")
    by_hand = {name: copy.deepcopy(p.module) for name, p in players_of(made).items()}
    (work,) = [w.repeatable() for w in list(made.feed.epoch(0))[:1]]
    task = made.state.task
    state = torch.get_rng_state()
    fit(made)
    torch.set_rng_state(state)
    for name in ("discriminator", "generator"):
        module = by_hand[name]
        optimizer = torch.optim.Adam(module.parameters(), lr=2e-4, betas=(0.5, 0.999))
        loss = task.loss(by_hand, work.micros[0].batch, name)  # type: ignore[index]
        gradients = torch.autograd.grad(loss, list(module.parameters()))
        for parameter, gradient in zip(module.parameters(), gradients, strict=True):
            parameter.grad = gradient
        optimizer.step()
        found = players_of(made)[name].module
        for one, other in zip(found.parameters(), module.parameters(), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("every", [2, 3])
def test_one_may_take_more_steps_than_the_other(every: int) -> None:
    made = experiment(*GAN, "steps=7", f"{EVERY}={every}", "monitor.every=1")
    before = weights(players_of(made)["generator"])
    moved: list[bool] = []

    def tick(step: int) -> None:
        now = weights(players_of(made)["generator"])
        moved.append(not same(now, before))
        before[:] = now

    _, memory = fit(made, tick)
    assert moved == [step % every == 0 for step in range(1, 8)]
    turns = [step for step in range(1, 8) if step % every == 0]
    assert list(memory.values("grad_norm/generator/total")) == turns
    assert list(memory.values("train/loss/generator")) == turns
    assert len(memory.values("grad_norm/discriminator/total")) == 7


def test_a_player_is_measured_at_its_last_turn_before_a_report() -> None:
    _, memory = fit(experiment(*GAN, "steps=21", f"{EVERY}=3", "monitor.every=5"))
    assert list(memory.values("grad_norm/generator/total")) == [3, 9, 15, 18]
    assert list(memory.values("update_ratio/discriminator/total")) == [5, 10, 15, 20]


def test_histograms_of_each_player(monkeypatch: pytest.MonkeyPatch) -> None:
    found: dict[str, list[int]] = {}

    def histograms(self: Recorder, step: int, tags: dict[str, object]) -> None:
        for tag in tags:
            found.setdefault(tag, []).append(step)

    monkeypatch.setattr(Recorder, "histograms", histograms)
    fit(experiment(*GAN, "steps=10", f"{EVERY}=3", "monitor.histograms=5"))
    assert found["gradients/generator/head.weight"] == [3, 9]
    assert found["gradients/discriminator/head.weight"] == [5, 10]
    assert found["parameters/generator/head.weight"] == [5, 10]
    assert len(found) == 2 * sum(len(p.names) for p in experiment(*GAN).state.players)


def test_a_player_whose_turn_is_rare_is_measured_at_each() -> None:
    _, memory = fit(experiment(*GAN, "steps=14", f"{EVERY}=7", "monitor.every=2"))
    assert list(memory.values("grad_norm/generator/total")) == [7, 14]


def test_a_schedule_has_the_length_of_its_players_own_steps() -> None:
    cosine = "player.generator.schedule=cosine"
    made = experiment(*GAN, "steps=8", f"{EVERY}=2", cosine, "monitor.every=1")
    _, memory = fit(made)
    assert players_of(made)["generator"].step == 4
    lr = memory.values("lr/generator")
    assert list(lr) == list(range(2, 9)), "before its first update it has used none"
    assert lr[2] == lr[3] == pytest.approx(2e-4)
    assert lr[8] == pytest.approx(2e-4 * (1 - 2**-0.5) / 2)
    assert players_of(made)["generator"].lr == pytest.approx(0.0, abs=1e-12), "of a fifth"
    assert set(memory.values("lr/discriminator").values()) == {2e-4}


def test_each_loss_is_told_by_its_player() -> None:
    _, memory = fit(experiment(*GAN, "steps=2", "monitor.every=1"))
    tags = {tag for record in memory.records for tag in record.values if "train/loss" in tag}
    assert tags == {"train/loss/discriminator", "train/loss/generator"}


def test_settings_of_the_run_hold_for_every_player() -> None:
    made = experiment(*GAN, "steps=3", "clip.norm=1e-6", "ema=0.5", "monitor.every=1")
    starts = {name: weights(player) for name, player in players_of(made).items()}
    fit(made)
    for name, player in players_of(made).items():
        assert player.ema is not None
        assert not same(player.ema.averages, weights(player))
        assert not same(starts[name], weights(player))


@pytest.mark.parametrize(
    "more", [[], [f"{EVERY}=3", "accumulate=2", "wrapper=sam", "monitor.every=5"]]
)
def test_both_are_resumed(more: list[str]) -> None:
    run = [*GAN, "steps=9", "checkpoint.every=4", "eval.every=3", "eval.batch_size=50", *more]
    assert_same_run(*whole_and_resumed(6, *run))


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ([f"{EVERY}=2", "player.discriminator.update_every=3"], "of at least one player 1"),
        ([f"{EVERY}=10", "steps=5"], "update_every=10: longer than the run of 5 steps"),
        (["model=mlp", "task=adversarial"], "discriminator and generator"),
        (["task=classification"], "has the players discriminator and generator"),
    ],
)
def test_what_does_not_fit_is_refused(overrides: list[str], said: str) -> None:
    kept = [line for line in GAN if not (line.startswith("model") and "model=mlp" in overrides)]
    with pytest.raises(UserError, match=said):
        experiment(*kept, *overrides)


def ended(*overrides: str) -> list[Tensor]:
    made = experiment(*GAN, "steps=6", *overrides)
    fit(made)
    players = players_of(made).values()
    return [t.clone() for player in players for t in player.module.state_dict().values()]


def test_an_evaluation_changes_nothing_at_other_weights_than_those_trained() -> None:
    free = "player.generator.optimizer=schedulefree"
    assert same(ended(free, "eval.every=2"), ended(free, "eval.every=6"))


def test_a_schedule_reacts_to_its_own_player() -> None:
    plateau = "player.discriminator.schedule"
    watched = [f"{plateau}.metric=train/loss", f"{plateau}.patience=0", f"{plateau}.threshold=0.9"]
    made = experiment(*GAN, "steps=8", "monitor.every=1", f"{plateau}=plateau", *watched)
    _, memory = fit(made)
    assert memory.values("lr/discriminator")[8] < 2e-4
    assert memory.values("lr/generator")[8] == 2e-4


def test_a_player_that_skips_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    made = experiment(*GAN, "steps=8", "nonfinite=skip")
    task, loss_of = made.state.task, made.state.task.loss
    calls: list[str] = []

    def loss(modules: object, batch: object, player: str) -> Tensor:
        calls.append(player)
        found = loss_of(modules, batch, player)  # type: ignore[arg-type]
        bad = player == "generator" and calls.count("generator") in (2, 5)
        return found * float("nan") if bad else found

    monkeypatch.setattr(task, "loss", loss)
    fit(made)
    assert {name: player.step for name, player in players_of(made).items()} == {
        "discriminator": 8,
        "generator": 6,
    }
