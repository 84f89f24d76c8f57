"""optbench.training.trainer: how long, how often, what counts as best, and what it reports."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from optbench.assemble.experiment import Experiment

from .experiments import experiment, fit, player_of, trained, weights_of

# 1,293 examples for training, 144 for validation, 360 for the test: 13 steps of 100 an epoch.
EPOCHS = ["epochs=2", "batch_size=100"]


def test_a_length_in_epochs() -> None:
    made = experiment(*EPOCHS)
    outcome, memory = fit(made)
    progress = made.state.progress
    assert (outcome.state, progress.step, progress.epoch, progress.index) == ("finished", 26, 2, 0)
    assert progress.examples == 2 * 1293
    assert memory.records[-1].epoch == 2.0


def test_a_length_in_steps() -> None:
    made = experiment("steps=15", "batch_size=100")
    fit(made)
    progress = made.state.progress
    assert (progress.step, progress.epoch, progress.index) == (15, 1, 2)
    assert progress.examples == 1293 + 200


def test_twenty_epochs_unless_told() -> None:
    assert experiment("batch_size=1000").settings.total_steps == 40


@pytest.mark.parametrize(
    ("every", "steps"),
    [
        ("1ep", [13, 26]),
        ("2ep", [26]),
        ("0.5ep", [6, 12, 18, 24, 26]),
        ("7", [7, 14, 21, 26]),
        ("25%", [6, 12, 18, 24, 26]),
        ("0", [26]),
    ],
)
def test_how_often_the_validation_set_is_scored(every: str, steps: list[int]) -> None:
    """At its own pace, and always at the end."""
    _, memory = fit(experiment(*EPOCHS, f"eval.every={every}"))
    assert memory.kinds("val") == steps


def test_without_validation_there_is_no_score_but_the_tests() -> None:
    _, memory = fit(experiment(*EPOCHS, "dataset.val_fraction=0"))
    assert memory.kinds("val") == []
    assert memory.kinds("test") == [30]
    assert memory.records[-1].examples == 2 * 1437


def test_the_test_set_is_scored_once_at_the_end() -> None:
    made = experiment(*EPOCHS, "eval.every=3")
    assert made.test is not None and len(made.test.indices) == 360
    _, memory = fit(made)
    assert memory.kinds("test") == [26]
    assert memory.records[-1].kind == "test"


def test_how_often_it_is_measured() -> None:
    _, memory = fit(experiment(*EPOCHS, "monitor.every=5", "eval.every=0"))
    assert memory.kinds("monitor") == [5, 10, 15, 20, 25]
    assert memory.kinds("train") == [5, 10, 15, 20, 25, 26]
    _, silent = fit(experiment(*EPOCHS, "monitor.every=0", "eval.every=0"))
    assert silent.kinds("monitor") == []


def test_only_totals_when_asked() -> None:
    _, memory = fit(experiment("steps=4", "monitor.every=2", "monitor.per_parameter=false"))
    (values, _) = (record.values for record in memory.records if record.kind == "monitor")
    assert set(values) == {"grad_norm/total", "param_norm/total", "update_ratio/total"}


def losses_by_hand(made: Experiment, steps: int) -> list[float]:
    stream, losses = made.feed.epoch(0), []
    for _ in range(steps):
        inputs, targets = next(iter(next(stream).micros)).batch
        logits = player_of(made).module(inputs).detach()
        losses.append(float(cross_entropy(logits, targets)))
    return losses


def test_the_training_loss_is_the_mean_since_it_was_last_told() -> None:
    made = experiment("steps=10", "optimizer.lr=0", "monitor.every=4", "eval.every=0")
    losses = losses_by_hand(made, 10)
    _, memory = fit(made)
    expected = {4: losses[:4], 8: losses[4:8], 10: losses[8:]}
    means = {step: sum(values) / len(values) for step, values in expected.items()}
    assert memory.values("train/loss") == pytest.approx(means, rel=1e-6)


def test_the_scores_are_of_the_whole_sets() -> None:
    made = experiment("steps=10", "eval.batch_size=37")
    _, memory = fit(made)
    module = player_of(made).module.eval()
    for what in (made.validation, made.test):
        assert what is not None
        whole = [(0, len(what.indices))]
        ((inputs, targets),) = what.source.stream(what.indices, whole)
        logits = module(inputs).detach()
        right = float((logits.argmax(1) == targets).double().mean())
        assert memory.values(f"{what.name}/accuracy")[10] == pytest.approx(right, abs=1e-12)
        loss = float(cross_entropy(logits, targets))
        assert memory.values(f"{what.name}/loss")[10] == pytest.approx(loss, rel=1e-5)


def test_some_examples_of_the_validation_set_may_do() -> None:
    """They are spread over it, and the test set is scored whole."""
    every = experiment("steps=1").validation
    made = experiment("steps=10", "eval.examples=40")
    assert every is not None and made.validation is not None and made.test is not None
    assert (
        made.validation.indices.tolist()
        == every.indices[[i * 144 // 40 for i in range(40)]].tolist()
    )
    _, memory = fit(made)
    assert (memory.values("val/accuracy")[10] * 40) % 1 == pytest.approx(0, abs=1e-9)
    assert len(made.test.indices) == 360
    most = experiment("steps=1", "eval.examples=145").validation
    assert most is not None and most.indices.tolist() == every.indices.tolist()


def test_scoring_leaves_the_training_mode_alone() -> None:
    """Dropout is off in scores only; batch statistics move in training only."""
    made = experiment(*EPOCHS, "model.dropout=0.5", "model.batch_norm=true", "eval.every=1")
    modes = []
    fit(made, lambda step: modes.append(player_of(made).module.training))
    assert set(modes) == {True}
    norm = next(m for m in player_of(made).module.modules() if isinstance(m, nn.BatchNorm1d))
    assert int(norm.num_batches_tracked) == 26


BEST = ["eval.every=2", "steps=30", "optimizer=sgd", "optimizer.lr=1.0", "batch_size=20"]


@pytest.mark.parametrize(
    ("overrides", "tag", "pick"),
    [
        ([], "val/accuracy", max),
        (["checkpoint.best=val/loss"], "val/loss", min),
        (["checkpoint.best=val/loss", "checkpoint.best_mode=max"], "val/loss", max),
    ],
)
def test_the_best_step(overrides: list[str], tag: str, pick: Any) -> None:
    made = experiment(*BEST, *overrides)
    _, memory = fit(made)
    values = memory.values(tag)
    best = made.state.best
    assert best.metric == tag
    assert best.value == pick(values.values())
    assert best.step == next(step for step, value in values.items() if value == best.value)
    assert 2 < best.step < 30, "the best is not in the middle: the test shows little"


def test_early_stopping_counts_scores_without_improvement() -> None:
    made = experiment(*BEST, "steps=300", "early_stopping.patience=3")
    outcome, memory = fit(made)
    assert outcome.state == "stopped_early"
    losses = list(memory.values("val/loss").values())
    best = losses.index(min(losses))
    assert len(losses) == best + 1 + 3
    assert f"since step {2 * (best + 1)}" in outcome.message
    assert memory.kinds("test") == [made.state.progress.step]


def test_early_stopping_wants_a_least_improvement() -> None:
    patient = ["steps=20", "eval.every=1", "optimizer.lr=1e-4", "early_stopping.patience=2"]
    assert fit(experiment(*patient))[0].state == "finished"
    made = experiment(*patient, "early_stopping.min_delta=0.5")
    assert fit(made)[0].state == "stopped_early"
    assert made.state.progress.step == 3


def test_early_stopping_of_what_is_better_when_larger() -> None:
    stopping = ["early_stopping.patience=2", "early_stopping.metric=val/accuracy"]
    made = experiment("steps=20", "eval.every=1", "optimizer.lr=0", *stopping)
    outcome, _ = fit(made)
    assert outcome.state == "stopped_early"
    assert made.state.progress.step == 3


def test_the_average_of_the_weights() -> None:
    made = experiment("steps=8", "ema=0.9", "optimizer=sgd", "optimizer.lr=0.5")
    history = [weights_of(made)]
    fit(made, lambda step: history.append(weights_of(made)))
    average = history[0].double()
    for weights in history[1:]:
        average = 0.9 * average + 0.1 * weights.double()
    ema = player_of(made).ema
    assert ema is not None
    found = nn.utils.parameters_to_vector(ema.averages)
    assert torch.allclose(found.double(), average, rtol=1e-5, atol=1e-7)


def test_scores_use_the_average_and_give_the_weights_back() -> None:
    made = experiment("steps=8", "ema=0.9", "optimizer=sgd", "optimizer.lr=0.5", "eval.every=1")
    plain = trained("steps=8", "optimizer=sgd", "optimizer.lr=0.5")
    _, memory = fit(made)
    assert torch.equal(weights_of(made), plain)
    ema, module = player_of(made).ema, player_of(made).module.eval()
    assert ema is not None and made.test is not None
    nn.utils.vector_to_parameters(nn.utils.parameters_to_vector(ema.averages), module.parameters())
    ((inputs, targets),) = made.test.source.stream(made.test.indices, [(0, 360)])
    loss = float(cross_entropy(module(inputs), targets).detach())
    assert memory.values("test/loss")[8] == pytest.approx(loss, rel=1e-6)


RANDOM = ["steps=15", "model.dropout=0.3", "dataset.crop=1", "dataset.flip=true"]


def test_a_seed_decides_everything() -> None:
    assert torch.equal(trained(*RANDOM, "seed=3"), trained(*RANDOM, "seed=3"))
    assert not torch.equal(trained(*RANDOM, "seed=3"), trained(*RANDOM, "seed=4"))


def test_a_seed_changes_each_random_part() -> None:
    one, other = experiment("seed=1"), experiment("seed=2")
    assert not torch.equal(weights_of(one), weights_of(other))
    assert one.validation is not None and other.validation is not None
    assert not torch.equal(one.validation.indices, other.validation.indices)
    assert not torch.equal(first_batch(one), first_batch(other))


def first_batch(made: Experiment) -> Tensor:
    batch: tuple[Tensor, Tensor] = next(iter(next(made.feed.epoch(0)).micros)).batch
    return batch[0]


@pytest.mark.parametrize(
    "same", ["deterministic=true", "activation_checkpointing=true", "eval.every=1"]
)
def test_what_changes_no_bit(same: str) -> None:
    with_it = trained(*RANDOM, same)
    assert torch.equal(trained(*RANDOM), with_it)


def test_the_rate_follows_the_batch_size() -> None:
    made = experiment("batch_size=64", "scale_lr=sqrt", "base_batch_size=256", "optimizer.lr=0.2")
    assert player_of(made).lr == pytest.approx(0.1)


def test_the_rate_of_each_step_is_the_schedules() -> None:
    made = experiment("steps=10", "schedule=cosine", "schedule.warmup_steps=3", "optimizer=sgd")
    player = player_of(made)
    rates = [player.lr]
    fit(made, lambda step: rates.append(player.lr))
    expected = [
        player.hyperparameters.base_lrs[0] * player.schedule(step, 10) for step in range(11)
    ]
    assert rates == expected
    assert rates[0] == 0 and rates[3] == 0.1
    assert all(later < earlier for earlier, later in pairwise(rates[3:]))
