"""What a run took: forward-backward passes, the optimizer's own time, bytes of its state."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from optbench.monitor.record import Record
from optbench.rundir import RunDir
from optbench.runs.result import load_result
from optbench.runs.summary import costs_of
from optbench.training.efficiency import memory
from optbench.training.meter import Meter
from optbench.training.objective import Objective
from optbench.training.position import Progress
from optbench.training.train_step import TrainStep

from .experiments import experiment, fit, player_of
from .objectives import mlp
from .runs import metrics_of, resume, train, whole_and_resumed


def summary_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    return found


PASSES = {
    "one": (["optimizer=adamw"], 6),
    "sam": (["optimizer=sgd", "wrapper=sam"], 12),
    "micro-batches": (["optimizer=sgd", "accumulate=3", "batch_size=50"], 6),
    "sophia": (["optimizer=sophia", "optimizer.hessian_every=2"], 6 + 3 * 2),
    "k-fac": (["optimizer=kfac", "optimizer.factors_every=3"], 6 + 2 * 2 / 3),
    "two players": (["task=adversarial", "model=dcgan", "model.width=4", "dataset=digits"], 12),
}


@pytest.mark.parametrize(("lines", "passes"), PASSES.values(), ids=PASSES)
def test_passes(lines: list[str], passes: float) -> None:
    made = experiment("steps=6", "monitor.every=3", "eval.every=2", *lines)
    _, memory = fit(made)
    assert made.state.progress.passes == pytest.approx(passes)
    at = {record.step: record.passes for record in memory.records if record.kind == "train"}
    half = passes / 2 if lines[0] != "optimizer=sophia" else 3 + 2 * 2
    assert (at[3], at[6]) == pytest.approx((half, passes))


def test_a_player_whose_turn_it_is_not_counts_nothing() -> None:
    made = experiment("steps=6", *PASSES["two players"][0], "player.generator.update_every=3")
    fit(made)
    assert made.state.progress.passes == 6 + 2


def test_lbfgs_counts_what_it_used(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    call = Objective.__call__

    def counting(self: Objective) -> Tensor:
        calls.append(self)
        return call(self)

    monkeypatch.setattr(Objective, "__call__", counting)
    made = experiment("steps=4", "optimizer=lbfgs")
    fit(made)
    assert made.state.progress.passes == len(calls) > 8


def test_a_look_beside_the_training_counts_nothing() -> None:
    made = experiment("steps=2")
    trainer = made.trainer()
    trainer.objective()()
    trainer.objective().loss()
    trainer.run()
    assert made.state.progress.passes == 2


def test_what_each_question_counts() -> None:
    problem = mlp()
    objective = problem.objective(accumulate=2)
    parameters = problem.parameters
    vectors = [torch.ones_like(p) for p in parameters]
    stacked = [torch.stack([p.detach()] * 5) for p in parameters]

    def thirds() -> int:
        before, objective.meter.thirds = objective.meter.thirds, 0
        return before

    objective()
    assert thirds() == 3
    objective.loss()
    assert thirds() == 1
    objective.losses(stacked)  # both ways are tried and timed; asked for were five
    assert thirds() == 5
    objective.hvp(parameters, vectors)
    assert thirds() == 6
    objective.ggnvp(parameters, vectors)
    assert thirds() == 6
    assert objective.meter.seconds > 0
    assert [Progress(thirds=n).passes for n in (0, 1, 3, 7)] == [0, 0.333333, 1, 2.333333]


def test_optimizer_seconds_are_the_optimizers_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    real = TrainStep._loss_and_gradients
    taken = []

    def slow(self: TrainStep, work: Any) -> Tensor:
        begun = time.perf_counter()
        time.sleep(0.05)
        loss = real(self, work)
        taken.append(time.perf_counter() - begun)
        return loss

    monkeypatch.setattr(TrainStep, "_loss_and_gradients", slow)
    for lines in (["optimizer=sgd"], ["optimizer=lbfgs"]):
        taken.clear()
        made = experiment("steps=4", "eval.every=0", *lines)
        fit(made)
        progress = made.state.progress
        assert 0 < progress.optimizer_seconds <= progress.seconds - sum(taken)


def test_a_meter_takes_the_time_of_what_raises() -> None:
    meter = Meter()
    with pytest.raises(ValueError, match="no"), meter.asked(3):
        raise ValueError("no")
    assert meter.thirds == 3 and meter.seconds > 0


@pytest.mark.parametrize(
    ("name", "copies", "numbers"), [("sgd", 0, 0), ("momentum", 1, 1), ("adamw", 2, 1)]
)
def test_bytes_of_state(name: str, copies: int, numbers: int) -> None:
    made = experiment("steps=2", f"optimizer={name}")
    fit(made)
    parameters = player_of(made).parameters
    steps = numbers * len(parameters) * 4  # counts of steps are tensors
    expected = copies * sum(p.numel() * 4 for p in parameters) + steps
    assert costs_of(made.state, memory(made.state))["state_bytes"] == expected


@pytest.mark.parametrize(
    "lines", [["optimizer=lbfgs"], ["wrapper=sam", "optimizer=momentum"]], ids=["lbfgs", "sam"]
)
def test_a_resumed_run_took_what_the_whole_one_took(lines: list[str]) -> None:
    often = ["batch_size=200", "epochs=2", "checkpoint.every=4", "eval.every=3", "monitor.every=2"]
    target = ["target.metric=val/accuracy", "target.value=0.2"]
    whole, resumed = whole_and_resumed(6, *often, *target, *lines)
    one, other = summary_of(whole), summary_of(resumed)
    for key in ("examples", "passes", "state_bytes"):
        assert one[key] == other[key] > 0
    assert one["passes"] > one["step"]
    for each in (one, other):
        assert 0 < each["optimizer_seconds"] < each["training_seconds"]
        costs = load_result(RunDir(whole if each is one else resumed)).costs
        assert costs == {key: each[key] for key in costs} and len(costs) == 5
    reached = [{k: s["target"][k] for k in ("step", "examples", "passes")} for s in (one, other)]
    assert reached[0] == reached[1]
    assert reached[0]["step"] < reached[0]["passes"] < one["passes"]
    assert 0 < reached[0]["examples"] < one["examples"]
    assert metrics_of(whole) == metrics_of(resumed)
    assert metrics_of(whole)[-1]["passes"] == one["passes"]


def test_what_an_older_version_began_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    real = Progress.state_dict
    later = ("thirds", "counted", "optimizer_seconds", "timed")
    with monkeypatch.context() as patch:
        patch.setattr(
            Progress,
            "state_dict",
            lambda self: {k: v for k, v in real(self).items() if k not in later},
        )
        assert train(Path("run"), "steps=3", "monitor.every=1") == 0
    for steps in (5, 7):  # nor is it after one more checkpoint, which says that it is not
        assert resume(Path("run"), f"steps={steps}") == 0
        found = summary_of(Path("run"))
        assert (found["passes"], found["optimizer_seconds"]) == (None, None)
        assert found["examples"] == steps * 64
    assert [("passes" in r) for r in metrics_of(Path("run")) if r["kind"] == "train"] == [
        *[True] * 3,
        *[False] * 4,
    ]


def test_a_device_that_runs_ahead_has_no_optimizer_seconds() -> None:
    made = experiment("steps=1")
    fit(made)
    assert costs_of(made.state, memory(made.state))["optimizer_seconds"] > 0
    made.state.progress.timed = False
    assert costs_of(made.state, memory(made.state))["optimizer_seconds"] is None


def test_a_record_that_says_no_passes_is_one() -> None:
    assert Record("train", 1, 0.0, 1, 0.0, {}).passes is None
