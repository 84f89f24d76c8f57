"""Gradient-free optimizers in the one trainer: resume, ranks, what is recorded and counted."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from few import few
from torch import Tensor, nn

import optbench
from optbench.errors import UserError

from .experiments import experiment, fit
from .ranks import ranks, train_arguments
from .runs import assert_same_run, metrics_of, state_of, train, whole_and_resumed

DIGITS = ["dataset=digits", "model.hidden=[8]", "batch_size=50", "monitor.every=2"]
EACH: dict[str, list[str]] = {
    "es": ["optimizer=es", "optimizer.population=8"],
    "cma_es": ["optimizer=cma_es", "optimizer.covariance=separable"],
    "ga": ["optimizer=ga", "optimizer.population=8"],
    "pso": ["optimizer=pso", "optimizer.population=6"],
}
BIPOP = ["model=rastrigin", "optimizer=cma_es", "optimizer.restarts=bipop"]
BIPOP += ["optimizer.evaluate=best", "batch_size=1", "eval.every=0", "optimizer.sigma=0.01"]


@pytest.mark.parametrize("step", few([5, 4, 9], 1))
@pytest.mark.parametrize("name", EACH)
def test_a_run_killed_at_any_step_resumes_exactly(name: str, step: int) -> None:
    lines = [*DIGITS, *EACH[name], "steps=12", "checkpoint.every=3", "model.dropout=0.2"]
    assert_same_run(*whole_and_resumed(step, *lines, "accumulate=2"))


@pytest.mark.parametrize("name", ["es", "ga"])
def test_it_resumes_exactly_under_bf16_and_with_batch_norm(name: str) -> None:
    lines = [*DIGITS, *EACH[name], "steps=8", "checkpoint.every=3", "model.batch_norm=true"]
    assert_same_run(*whole_and_resumed(5, *lines, "precision=bf16", "ema=0.5"))


def test_restarts_resume_exactly() -> None:
    assert_same_run(*whole_and_resumed(130, *BIPOP, "steps=250", "checkpoint.every=50"))


@pytest.mark.slow
@pytest.mark.parametrize("name", EACH)
def test_two_ranks_equal_one(name: str, tmp_path: Path) -> None:
    lines = [*DIGITS, *EACH[name], "steps=6", "checkpoint.every=3", "optimizer.way=loop"]
    assert train(tmp_path / "one", *lines) == 0
    ranks(train_arguments(tmp_path / "two", *lines))
    one, two = (
        nn.utils.parameters_to_vector(
            state_of(tmp_path / each)["state.pt"]["players"]["model"]["module"].values()
        )
        for each in ("one", "two")
    )
    assert torch.dist(one, two) <= 1e-4 * one.norm()
    records = zip(metrics_of(tmp_path / "one"), metrics_of(tmp_path / "two"), strict=True)
    for ours, theirs in records:
        assert ours["passes"] == theirs["passes"]


@pytest.mark.parametrize("name", EACH)
def test_the_plan_is_found_once_and_kept(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from optbench.training.many_losses import ManyLosses

    tried = []
    found = ManyLosses.plan

    def plan(self: Any, *given: Any, **more: Any) -> Any:
        tried.append(found(self, *given, **more))
        return tried[-1]

    monkeypatch.setattr(ManyLosses, "plan", plan)
    lines = [*DIGITS, *EACH[name], "steps=9", "checkpoint.every=3"]
    _, resumed = whole_and_resumed(5, *lines)
    assert len(tried) == 1
    (state, *_) = state_of(resumed)["state.pt"]["players"]["model"]["optimizer"]["state"].values()
    assert state["plan"]["vmap"] == (tried[0].way == "vmap")
    assert state["plan"]["chunk"] == tried[0].chunk


def run(folder: Path, *lines: str) -> tuple[optbench.RunResult, list[dict[str, Any]]]:
    done = optbench.train(*lines, folder=folder)
    return done, [line for line in metrics_of(folder) if line["kind"] in ("train", "monitor")]


def test_nothing_is_recorded_of_gradients_and_rates_that_are_not(tmp_path: Path) -> None:
    lines = [*DIGITS, *EACH["ga"], "steps=4", "monitor.histograms=2"]
    _, records = run(tmp_path / "run", *lines)
    tags = {tag for record in records for tag in record}
    assert not {tag for tag in tags if tag.startswith(("grad_norm", "lr/"))}
    assert {"update_ratio/total", "param_norm/total", "param_norm/head.weight"} <= tags
    assert {"optimizer/evaluations", "optimizer/sigma", "optimizer/best", "train/loss"} <= tags
    ratios = [record["update_ratio/total"] for record in records if "param_norm/total" in record]
    assert all(0 < ratio < 1 for ratio in ratios)


@pytest.mark.parametrize(
    ("name", "evaluations"),
    [("es", 8 * 5), ("cma_es", 23 * 5), ("ga", 8 + 2 + 8 * 4), ("pso", 6 + 2 + 12 * 4)],
)
def test_evaluations_are_counted(name: str, evaluations: int, tmp_path: Path) -> None:
    """And a step's own forward pass, of those that put the mean in the model: it is no member."""
    done, records = run(tmp_path / "run", *DIGITS, *EACH[name], "steps=5", "monitor.every=5")
    assert records[-2]["optimizer/evaluations"] == evaluations
    assert done.costs["passes"] == pytest.approx((evaluations + 5 * (name in ("es", "cma_es"))) / 3)


def test_a_known_loss_is_not_evaluated_again(tmp_path: Path) -> None:
    lines = ["model=rosenbrock", "optimizer=ga", "batch_size=1", "steps=5", "monitor.every=5"]
    done, records = run(tmp_path / "run", *lines, "optimizer.noisy=false", "eval.every=0")
    assert records[-2]["optimizer/evaluations"] == 50 + 4 * 48
    assert done.costs["passes"] == pytest.approx((50 + 4 * 48) / 3)


@pytest.mark.parametrize("part", ["model.dropout=0.3", "model.batch_norm=true"])
def test_where_a_pass_moves_something_it_is_made(part: str, tmp_path: Path) -> None:
    lines = [*DIGITS, *EACH["ga"], part, "steps=3", "monitor.every=3", "optimizer.noisy=true"]
    done, records = run(tmp_path / "run", *lines)
    assert done.costs["passes"] == pytest.approx((records[-2]["optimizer/evaluations"] + 3) / 3)
    for module in optbench.open_run(tmp_path / "run").model("last", trust=True).modules():
        if isinstance(module, nn.BatchNorm1d):
            assert module.num_batches_tracked == 3


class Wall(nn.Module):
    """A line that is nowhere finite beyond a wall."""

    def __init__(self, input_shape: Any = None, num_classes: int = 10, wall: float = 0.05) -> None:
        super().__init__()
        self.head = nn.Linear(64, num_classes)
        self.wall = wall

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(images.flatten(1))
        return logits + torch.where(self.head.bias[0] > self.wall, torch.nan, 0.0)


OWN = ["model=custom", "model._target_=tests.training.test_population_in_runs.Wall"]


@pytest.mark.parametrize("name", EACH)
def test_members_that_are_not_finite_never_reach_the_update(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2]))
    lines = ["dataset=digits", "batch_size=50", *EACH[name], *OWN, "steps=10", "monitor.every=1"]
    done, records = run(tmp_path / "run", *lines, "model.arguments={wall: 0.2}")
    assert done.state == "finished"
    weights = state_of(tmp_path / "run")["state.pt"]["players"]["model"]["module"].values()
    assert all(bool(each.isfinite().all()) for each in weights)
    bests = [record["optimizer/best"] for record in records if "optimizer/best" in record]
    assert bests and all(map(math.isfinite, bests))


@pytest.mark.parametrize(
    ("policy", "said"), [("stop", "loss is"), ("skip", "no finite loss in 100 batches")]
)
def test_a_run_without_finite_losses_ends(
    policy: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2]))
    lines = ["dataset=digits", "batch_size=50", *EACH["es"], *OWN, f"nonfinite={policy}"]
    done, _ = run(tmp_path / "run", *lines, "steps=300", "model.arguments={wall: -9.0}")
    assert done.state == "diverged" and said in done.message


def test_a_frozen_part_stays(tmp_path: Path) -> None:
    made = experiment(*DIGITS, *EACH["es"], "steps=3", "freeze=[blocks.*]")
    module = made.state.players[0].module
    before = {name: value.clone() for name, value in module.named_parameters()}
    fit(made)
    moved = {n for n, value in module.named_parameters() if not torch.equal(value, before[n])}
    assert moved == {"head.weight", "head.bias"}


@pytest.mark.parametrize("way", ["loop", "vmap"])
def test_groups_in_another_order_than_the_model(way: str) -> None:
    group = 'optimizer.groups=[{params: "*.bias", lr: 0.0, weight_decay: 0.0}]'
    made = experiment(*DIGITS, *EACH["es"], f"optimizer.way={way}", "steps=3", group)
    module, optimizer = made.state.players[0].module, made.state.players[0].optimizer
    before = {name: value.detach().clone() for name, value in module.named_parameters()}
    names = {id(value): name for name, value in module.named_parameters()}
    order = [names[id(p)] for each in optimizer.param_groups for p in each["params"]]
    assert order == ["blocks.0.0.weight", "head.weight", "blocks.0.0.bias", "head.bias"]
    fit(made)
    moved = {n for n, value in module.named_parameters() if not torch.equal(value, before[n])}
    assert moved == {"blocks.0.0.weight", "head.weight"}


def test_a_way_that_the_model_has_not_is_refused() -> None:
    data = ["dataset=adding", "dataset.train_size=40", "dataset.val_size=9", "dataset.test_size=9"]
    lines = [
        *data,
        "steps=2",
        "dataset.length=8",
        "model=lstm",
        "model.width=4",
        *EACH["es"],
        "batch_size=8",
    ]
    with pytest.raises(UserError, match=r"^way=vmap: .*; way=loop can$") as told:
        fit(experiment(*lines, "optimizer.way=vmap"))
    assert "\n" not in str(told.value)
    fit(experiment(*lines, "optimizer.way=loop"))


@pytest.mark.parametrize(
    ("lines", "least"),
    [
        (["model=logistic", *EACH["es"][:1], "steps=120", "batch_size=256"], 0.9),
        (["model.hidden=[30]", *EACH["es"][:1], "steps=250", "batch_size=256"], 0.9),
        (
            [
                *("model=logistic", "optimizer=cma_es", "optimizer.sigma=0.1", "steps=250"),
                *("optimizer.population=60", "batch_size=256", "optimizer.covariance=separable"),
            ],
            0.9,
        ),
    ],
)
@pytest.mark.slow
def test_digits_are_learnt(lines: list[str], least: float, tmp_path: Path) -> None:
    done, _ = run(tmp_path / "run", "dataset=digits", "eval.every=20", *lines)
    assert done.metrics["test/accuracy"] >= least
