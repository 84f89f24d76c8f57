"""The numbers of a record belong to the same update: its learning rate, and its loss."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch

from optbench.assemble.experiment import Experiment
from optbench.rundir import RunDir
from optbench.training.player import Player
from optbench.training.precision import Precision

from .experiments import Memory, experiment, fit
from .runs import (
    assert_same_run,
    copied_after,
    metrics_of,
    newest_step,
    resume,
    train,
    whole_and_resumed,
)
from .test_scaler import overflow_at

RUN = ["epochs=2", "batch_size=100", "monitor.every=3", "eval.every=4"]
"""13 steps an epoch, the last of 93 examples."""
WARMUP = ["schedule.warmup_steps=7"]
GAN = ["model=dcgan", "model.width=4", "model.latent=6", "dataset=digits", "batch_size=100"]
PLATEAU = ["schedule=plateau", "schedule.patience=0", "schedule.threshold=0.3"]
GROUP = "optimizer.groups=[{params: head.*, lr: 0.5, schedule: step}]"

Used = dict[int, dict[str, float]]


def watch(made: Experiment, player: Player, used: Used) -> None:
    """Keeps the learning rates, by the run's step, with which a player's updates are taken."""
    advance = player.advance

    def taken() -> None:
        rates = [float(group["lr"]) for group in player.optimizer.param_groups]
        tags = [f"lr/{player.name}", *(f"lr/{player.name}/{k}" for k in range(1, len(rates)))]
        used[made.state.progress.step + 1] = dict(zip(tags, rates, strict=True))
        advance()

    player.advance = taken  # type: ignore[method-assign]


def told_and_used(made: Experiment, prepare: Callable[[], None] = lambda: None) -> Memory:
    """Trains, and asserts that each record tells the rates of the last update until then."""
    used: dict[str, Used] = {player.name: {} for player in made.state.players}
    for player in made.state.players:
        watch(made, player, used[player.name])
    prepare()
    outcome, memory = fit(made)
    assert outcome.state == "finished"
    records = [record for record in memory.records if record.kind == "train"]
    assert records
    for record in records:
        told = {tag: v for tag, v in record.values.items() if tag.startswith("lr/")}
        expected: dict[str, float] = {}
        for name, own in used.items():
            turns = [step for step in own if step <= record.step]
            rates = own[max(turns)] if turns else {}
            expected |= {t: v for t, v in rates.items() if t.count("/") == 1}
            expected |= {t: v for t, v in rates.items() if v != rates[f"lr/{name}"]}
        assert told == expected, record.step
    return memory


@pytest.mark.parametrize(
    "overrides",
    [
        WARMUP,
        ["schedule=cosine", *WARMUP, "optimizer=sgd", "optimizer.lr=0.1"],
        ["schedule=one_cycle"],
        [*PLATEAU, "schedule.metric=train/loss"],
        [*PLATEAU, "schedule.metric=val/loss"],
        ["schedule=hypergradient", "schedule.form=multiplicative", "schedule.hyper_lr=0.02"],
        ["schedule=auto_loss", "monitor.every=1"],
        ["schedule=auto_grad_norm", "monitor.every=1"],
        ["schedule=cosine", GROUP],
        ["schedule=cosine", "optimizer=lbfgs", "optimizer.lr=0.5"],
        ["schedule=cosine", "wrapper=lookahead"],
        ["schedule=torch", "schedule.scheduler=ExponentialLR", "schedule.arguments={gamma: 0.9}"],
        [],
    ],
    ids=" ".join,
)  # fmt: skip
def test_a_record_tells_the_rate_that_its_update_took(overrides: list[str]) -> None:
    memory = told_and_used(experiment(*RUN, *overrides))
    if overrides:
        assert len(set(memory.values("lr/model").values())) > 1


def test_one_that_is_updated_at_some_steps_tells_its_last_turns() -> None:
    every = ["player.generator.update_every=5", "player.generator.schedule=linear"]
    made = experiment(*GAN, "steps=20", "monitor.every=3", "eval.every=0", *every)
    memory = told_and_used(made)
    told = memory.values("lr/generator")
    assert list(told) == [6, 9, 12, 15, 18, 20]
    assert told[6] == told[9] > told[12]


def test_a_step_that_was_left_out_has_no_rate() -> None:
    made = experiment(*RUN, *WARMUP, "precision=fp16", "monitor.every=1")
    told_and_used(made, partial(overflow_at, made, 3, 4, 9))
    assert made.state.progress.skipped == 3


def test_a_record_tells_the_scale_of_its_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    def growing(*arguments: object) -> Precision:
        precision = Precision(*arguments)  # type: ignore[arg-type]
        assert precision.scaler is not None
        precision.scaler.set_growth_interval(4)
        return precision

    monkeypatch.setattr("optbench.assemble.experiment.Precision", growing)
    lines = ["precision=fp16", "steps=10", "monitor.every=1", "checkpoint.every=4"]
    _, memory = fit(experiment(*lines))
    scales = [2.0**k for k in (16, 16, 16, 16, 17, 17, 17, 17, 18, 18)]
    assert list(memory.values("precision/loss_scale").values()) == scales
    assert_same_run(*whole_and_resumed(5, *lines, "eval.every=4"))


@pytest.mark.parametrize(
    "overrides",
    [
        # Right after the checkpoint of step 6 a record tells of the generator's turn at 5.
        [*GAN, "player.generator.update_every=5", "player.generator.schedule=linear"],
        [*PLATEAU, "schedule.metric=val/loss", "eval.every=3"],
    ],
    ids=["a turn before the checkpoint", "a schedule that reacted before the checkpoint"],
)
def test_a_resumed_run_knows_the_last_updates_rate(overrides: list[str]) -> None:
    lines = ["steps=10", "checkpoint.every=6", "monitor.every=7", "eval.every=0", *overrides]
    assert_same_run(*whole_and_resumed(6, *lines))


def test_an_evaluation_beside_a_monitored_step_tells_of_a_full_batch() -> None:
    """As does an epoch's short last batch: step 13 is of 93 examples."""
    made = experiment("epochs=1", "batch_size=100", "optimizer.lr=0", "monitor.every=6")
    single = experiment("epochs=1", "batch_size=100", "optimizer.lr=0", "monitor.every=1")
    ((_, memory), (_, every)) = (fit(made), fit(single))
    told, each = memory.values("train/loss"), every.values("train/loss")
    assert list(told) == [6, 12, 13]
    losses = _losses(single)
    assert each[12] == pytest.approx(losses[11])
    assert told[13] == each[13] == pytest.approx(_mean(losses[11:], [100, 93]))


def _losses(made: Experiment) -> list[float]:
    """Of each step of the first epoch, at the weights as they are."""
    (player,) = made.state.players
    modules = {"model": player.module}
    batches = [next(iter(work.micros)).batch for work in made.feed.epoch(0)]
    with torch.no_grad():
        return [made.state.task.loss(modules, batch, "model").item() for batch in batches]


def _mean(values: list[float], examples: list[int]) -> float:
    return sum(v * n for v, n in zip(values, examples, strict=True)) / sum(examples)


@pytest.mark.parametrize("accumulate", [1, 3])
def test_the_final_loss_is_the_mean_of_the_last_complete_epoch(accumulate: int) -> None:
    still = ["batch_size=100", "optimizer.lr=0", "monitor.every=4", f"accumulate={accumulate}"]
    losses = _losses(experiment(*still[:3]))
    whole = _mean(losses, [100] * 12 + [93])
    for steps, expected in ((26, whole), (20, whole), (13, whole), (5, sum(losses[:5]) / 5)):
        outcome, _ = fit(experiment(*still, f"steps={steps}"))
        assert outcome.metrics["train/loss"] == pytest.approx(expected, rel=1e-6)


def test_of_several_players_each_has_its_mean() -> None:
    """The last record, of 93 examples, holds the step before as well."""
    outcome, memory = fit(experiment(*GAN, "steps=13", "monitor.every=1", "eval.every=0"))
    for name in ("discriminator", "generator"):
        values = list(memory.values(f"train/loss/{name}").values())
        last = (values[12] * 193 - values[11] * 100) / 93
        expected = _mean([*values[:12], last], [100] * 12 + [93])
        assert outcome.metrics[f"train/loss/{name}"] == pytest.approx(expected)


def test_a_functions_final_loss_is_its_last() -> None:
    made = experiment("model=rosenbrock", "steps=40", "monitor.every=1")
    outcome, memory = fit(made)
    assert outcome.metrics["train/loss"] == memory.values("train/loss")[40]


def test_the_final_loss_survives_a_kill_in_the_middle_of_an_epoch() -> None:
    lines = [
        "epochs=2",
        "batch_size=100",
        "checkpoint.every=4",
        "monitor.every=5",
        "model.dropout=0.1",
    ]
    whole, resumed = whole_and_resumed(18, *lines)
    assert_same_run(whole, resumed)
    final, again = (RunDir(run).read_json("summary.json")["final"] for run in (whole, resumed))
    assert final["train/loss"] == again["train/loss"]
    assert final["train/loss"] != RunDir(whole).last_values()["train/loss"]


def test_one_train_record_a_step_also_after_a_resume() -> None:
    """The run dies between the last step's checkpoint and its evaluation."""
    whole, resumed = Path("whole"), Path("resumed")
    lines = ["steps=12", "checkpoint.every=6", "monitor.every=4", "eval.every=0"]
    with copied_after(12, whole, resumed):
        assert train(whole, *lines) == 0
    assert newest_step(resumed) == 12
    assert resume(resumed) == 0
    assert_same_run(whole, resumed)
    assert [m["step"] for m in metrics_of(resumed) if m["kind"] == "train"] == [4, 8, 12]
