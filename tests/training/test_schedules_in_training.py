"""Schedules that touch more than one learning rate, or watch the run, in whole trainings."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from few import few
from torch import Tensor

from optbench.errors import UserError
from optbench.training import checkpoint

from .experiments import experiment, fit, player_of
from .ranks import ranks, train_arguments
from .runs import assert_same_run, metrics_of, resume, state_of, train, whole_and_resumed

RUN = ["dataset=digits", "batch_size=50", "epochs=2", "checkpoint.every=7", "monitor.every=1"]
MOMENTUM = "momentum_schedule={schedule: linear, from: 0.5, to: 0.9, for: 50%}"
HALF = "{params: 'head.*', schedule: {schedule: step, step_size: 1, gamma: 0.5}}"

AUTOMATIC = {
    "hypergradient": ["schedule=hypergradient"],
    "hypergradient, additive": ["schedule=hypergradient", "schedule.form=additive"],
    "hypergradient, adamw": ["schedule=hypergradient", "optimizer=adamw", "clip.norm=0.1"],
    "hypergradient, fp16": ["schedule=hypergradient", "precision=fp16", "optimizer=adamw"],
    "hypergradient, warmup": ["schedule=hypergradient", "schedule.warmup_steps=5"],
    "hypergradient, unwatched": ["schedule=hypergradient", "monitor.every=0"],
    "auto_grad_norm": ["schedule=auto_grad_norm", "optimizer.lr=1"],
    "auto_loss": ["schedule=auto_loss"],
    "chain": [
        "schedule=chain",
        "schedule.parts=[{schedule: auto_loss, for: 15}, {schedule: hypergradient, for: 25},"
        " cosine]",
    ],
    "torch": [
        *("schedule=torch", "schedule.scheduler=ReduceLROnPlateau", "schedule.metric=train/loss"),
        "schedule.arguments={patience: 0, threshold: 0.1, factor: 0.7}",
    ],
    "torch, pure": [
        *("schedule=torch", "schedule.scheduler=MultiStepLR"),
        "schedule.arguments={milestones: [5, 40]}",
    ],
    "groups": [f"optimizer.groups=[{HALF}, {{params: '*.bias', schedule: hypergradient}}]"],
    "values": [
        *("optimizer=adamw", MOMENTUM, "beta2_schedule={schedule: cosine, to: 0.9}"),
        "weight_decay_schedule={schedule: linear, to: 0.5}",
    ],
}


@pytest.mark.parametrize("name", few(AUTOMATIC, 6))
def test_resumes_bit_for_bit(name: str) -> None:
    overrides = [*RUN, "optimizer=sgd", *AUTOMATIC[name]]
    whole, resumed = whole_and_resumed(31, *overrides)
    assert_same_run(whole, resumed)
    if "monitor.every=0" in overrides or name == "values":
        return
    rates = [m["lr/model"] for m in metrics_of(whole) if "lr/model" in m]
    if name != "groups":
        assert len(set(rates[:30])) > 1 and len(set(rates[31:])) > 1, "it did nothing"


class Follow:
    """Repeats a run's steps and computes the hypergradient from what they left, in float64."""

    def __init__(self, player: Any, beta: float) -> None:
        self.player, self.beta = player, beta
        self.gradients: list[Tensor] = []
        self.weights: list[Tensor] = []
        self.rates: list[float] = []
        look = player.hyperparameters.see_gradients

        def see(world: Any) -> None:
            self.gradients.append(torch.cat([p.grad.flatten() for p in player.parameters]).double())
            self.weights.append(self.now())
            look(world)
            self.rates.append(player.lr)

        player.hyperparameters.see_gradients = see

    def now(self) -> Tensor:
        return torch.cat([p.detach().flatten() for p in self.player.parameters]).double()

    def expected(self, form: str) -> list[float]:
        alpha, found = self.rates[0], [self.rates[0]]
        for t in range(1, len(self.weights)):
            u = (self.weights[t - 1] - self.weights[t]) / alpha
            g = self.gradients[t]
            if form == "additive":
                alpha += self.beta * float(g @ u)
            else:
                alpha *= 1 + self.beta * float(g @ u / (g.norm() * u.norm()))
            found.append(alpha)
        return found


@pytest.mark.parametrize("form", ["additive", "multiplicative"])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "lion"])
def test_the_hypergradient_is_the_papers(optimizer: str, form: str) -> None:
    beta = 1e-6 if form == "additive" else 0.02
    said = [f"optimizer={optimizer}", "schedule=hypergradient", f"schedule.form={form}"]
    made = experiment(
        *RUN, *said, f"schedule.hyper_lr={beta}", "optimizer.lr=0.001", "clip.norm=0.5"
    )
    follow = Follow(player_of(made), beta)
    fit(made)
    assert len(follow.rates) == 52 and len(set(follow.rates)) > 40
    assert follow.rates == pytest.approx(follow.expected(form), rel=1e-4)


def test_an_update_that_fp16_leaves_out_changes_no_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    made = experiment(*RUN, "optimizer=sgd", "schedule=hypergradient", "precision=fp16")
    player = player_of(made)
    steps: list[tuple[int, float]] = []
    scaler = made.state.precision.scaler
    assert scaler is not None
    scaler._init_scale = 2.0**30
    fit(made, lambda step: steps.append((step, player.lr)))
    first = [lr for step, lr in steps if step == 0]
    assert len(first) > 2 and set(first) == {steps[0][1]}
    assert all(math.isfinite(lr) and lr > 0 for _, lr in steps)


def test_a_group_follows_its_own_schedule() -> None:
    made = experiment(*RUN, "optimizer.lr=1", "schedule=cosine", f"optimizer.groups=[{HALF}]")
    player = player_of(made)
    seen: dict[int, list[float]] = {}
    fit(made, lambda step: seen.update({step: [g["lr"] for g in player.optimizer.param_groups]}))
    assert seen[3] == [pytest.approx((1 + math.cos(math.pi * 3 / 52)) / 2), 0.5**3]
    assert all("schedule" not in group for group in player.optimizer.param_groups)


@pytest.mark.parametrize(
    ("optimizer", "key"), [("sgd", "momentum"), ("nag", "momentum"), ("adamw", "betas")]
)
def test_the_momentum_moves_from_value_to_value(optimizer: str, key: str) -> None:
    made = experiment(*RUN, f"optimizer={optimizer}", "optimizer.lr=0.01", MOMENTUM)
    player = player_of(made)
    seen: dict[int, Any] = {}
    fit(made, lambda step: seen.update({step: player.optimizer.param_groups[0][key]}))
    values = {step: value[0] if key == "betas" else value for step, value in seen.items()}
    assert values[13] == pytest.approx(0.7) and values[26] == values[52] == pytest.approx(0.9)


def test_beta2_and_weight_decay_move_too() -> None:
    said = ["beta2_schedule={schedule: linear, to: 0.9}", "optimizer=adamw"]
    made = experiment(*RUN, *said, "weight_decay_schedule={schedule: step, step_size: 26, to: 0.5}")
    group = player_of(made).optimizer.param_groups[0]
    seen: dict[int, tuple[float, float]] = {}
    fit(made, lambda step: seen.update({step: (group["betas"][1], group["weight_decay"])}))
    assert seen[26] == (pytest.approx((0.999 + 0.9) / 2), pytest.approx(0.5 - 0.49 * 0.1))


@pytest.mark.parametrize("policy", ["own", "coupled", "decoupled", "independent"])
def test_weight_decay_moves_wherever_it_is_done(policy: str) -> None:
    schedule = "weight_decay_schedule={schedule: linear, from: 0.5, to: 0.25}"
    said = ["optimizer=sgd", "optimizer.weight_decay=0.1", f"optimizer.decay={policy}", schedule]
    made = experiment(*RUN, *said, "wrapper=lookahead")
    group, seen = player_of(made).optimizer.param_groups[0], {}
    fit(made, lambda step: seen.update({step: (group["weight_decay"], group.get("decay"))}))
    first, last = (0.5 + 0.25) / 2, 0.25
    expected = [(first, None), (last, None)] if policy == "own" else [(0, first), (0, last)]
    assert [seen[26], seen[52]] == expected


@pytest.mark.parametrize("policy", ["own", "independent"])
@pytest.mark.parametrize(
    "without",
    [
        "optimizer.decay_norm_and_bias=false",
        "optimizer.groups=[{params: '*.bias', weight_decay: 0}]",
    ],
)
def test_what_has_no_weight_decay_gets_none_from_a_schedule(without: str, policy: str) -> None:
    schedule = "weight_decay_schedule={schedule: linear, from: 0.1, to: 0.5}"
    made = experiment(*RUN, "optimizer=sgd", f"optimizer.decay={policy}", without, schedule)
    groups, seen = player_of(made).optimizer.param_groups, {}
    key = "weight_decay" if policy == "own" else "decay"
    fit(made, lambda step: seen.update({step: sorted(group[key] for group in groups)}))
    assert seen[26] == [0, pytest.approx(0.3)] and seen[52] == [0, pytest.approx(0.5)]


def test_what_a_cycle_moved_comes_back_in_the_next_part() -> None:
    parts = "schedule.parts=[{schedule: one_cycle, for: 50%}, constant]"
    made = experiment(*RUN, "optimizer=adamw", "schedule=chain", parts)
    player, seen = player_of(made), {}
    fit(made, lambda step: seen.update({step: player.optimizer.param_groups[0]["betas"]}))
    assert seen[20] != (0.9, 0.999) and seen[26] == seen[52] == (0.9, 0.999)


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (["schedule=one_cycle", MOMENTUM], "the schedule cycles the momentum itself"),
        (["optimizer=adagrad", MOMENTUM], "has no momentum"),
        (["optimizer=sgd", "beta2_schedule={schedule: linear, to: 0.9}"], "has no beta2"),
        (["schedule=auto_loss", "monitor.every=0"], "monitor.every=0: schedule.metric=train/loss"),
        (["schedule=auto_grad_norm", "monitor.every=0"], "schedule.metric=grad_norm/total needs"),
        (["optimizer=rprop", "schedule=chain"], "reads lr once"),
        (["optimizer=rprop", "schedule=hypergradient"], "reads lr once"),
        (
            ["schedule=chain", "schedule.parts=[{schedule: constant, for: 5}, one_cycle]"],
            "has no momentum",
        ),
        (
            [
                "optimizer.groups=[{params: 'head.*',"
                " schedule: {schedule: plateau, metric: val/los}}]",
            ],
            "optimizer.groups[0].schedule.metric=val/los: no such metric; did you mean val/loss?",
        ),
        (
            ["optimizer.groups=[{params: 'head.*', schedule: cosin}]"],
            "optimizer.groups[0].schedule=cosin: no such schedule; did you mean cosine?",
        ),
    ],
    ids=lambda value: str(value)[:50],
)
def test_what_does_not_fit_together(overrides: list[str], says: str) -> None:
    chosen = any(line.startswith("optimizer=") for line in overrides)
    with pytest.raises(UserError) as raised:
        experiment(
            *RUN, *([] if chosen else ["optimizer=adagrad"] if "has no" in says else []), *overrides
        )
    assert says in str(raised.value)


def test_another_schedule_after_a_resume_starts_anew() -> None:
    assert train(Path("run"), *RUN, "schedule=auto_loss", "epochs=1") == 0
    assert resume(Path("run"), "schedule=hypergradient", "epochs=2") == 0
    assert checkpoint.steps(Path("run/checkpoints"))[-1] == 52
    (saved,) = state_of(Path("run"))["state.pt"]["players"]["model"]["schedules"]
    assert saved["kind"].endswith("Hypergradient") and set(saved["state"]) == {"multiplier"}


def test_a_resume_may_change_the_momentums_schedule() -> None:
    assert train(Path("run"), *RUN, "optimizer=adamw", MOMENTUM, "epochs=1") == 0
    changed = "momentum_schedule={schedule: constant, from: 0.3, to: 0}"
    assert resume(Path("run"), changed, "epochs=2") == 0
    (group,) = state_of(Path("run"))["state.pt"]["players"]["model"]["optimizer"]["param_groups"]
    assert group["betas"] == (0.3, 0.999)


@pytest.mark.slow
def test_two_ranks_follow_one_hypergradient(tmp_path: Path) -> None:
    said = [*RUN, "optimizer=sgd", "schedule=hypergradient", "schedule.hyper_lr=0.1", "threads=1"]
    assert train(tmp_path / "one", *said) == 0
    ranks(train_arguments(tmp_path / "two", *said))
    one, two = (
        [m["lr/model"] for m in metrics_of(tmp_path / n) if "lr/model" in m] for n in ("one", "two")
    )
    assert len(set(one)) > 40
    assert two == pytest.approx(one, rel=1e-4)
