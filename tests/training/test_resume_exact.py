"""A run that was killed in mid-epoch and resumed equals the one that was not, bit for bit."""

from __future__ import annotations

import random
import zlib
from functools import partial
from pathlib import Path

import pytest
from few import few

from optbench.compose.paths import configs_folder
from optbench.training import checkpoint
from optbench.training.precision import Precision

from .runs import (
    assert_same_run,
    killed_run,
    metrics_of,
    resume,
    state_of,
    status_of,
    train,
    whole_and_resumed,
)

OPTIMIZERS = sorted(path.stem for path in (configs_folder() / "optimizer").glob("*.yaml"))

# 1,293 examples: 26 steps an epoch, the last of 43 examples, which three micro-batches split
# unevenly.
HARD = [
    "model.dropout=0.2",
    "dataset=digits",
    "dataset.crop=1",
    "dataset.flip=true",
    "batch_size=50",
    "accumulate=3",
    "epochs=2",
    "checkpoint.every=7",
]
COSINE = ["schedule=cosine", "schedule.warmup_steps=5"]
STEPS_PER_EPOCH = 26


NAMED = {
    "zoo": ["optimizer.name=emonavi"],
    "custom": ["optimizer._target_=torch.optim.SGD", "optimizer.lr=0.1"],
}
NAMED |= {
    name: ["optimizer.solver=cg", "optimizer.cg_iterations=4"]
    for name in ("newton", "gauss_newton", "natural_gradient", "levenberg_marquardt")
}
NAMED |= {name: ["optimizer.way=loop"] for name in ("es", "cma_es", "ga", "pso")}
"""Two runs on a busy machine may find the one or the other way faster."""
"""What says which one is meant, and what keeps it quick."""


def schedule_for(optimizer: str) -> list[str]:
    # Rprop reads its learning rate once, others have none, and so refuse schedules.
    return [] if optimizer in ("rprop", "cma_es", "ga", "pso") else COSINE


def random_step(word: str) -> int:
    """A step inside the second epoch, after the first checkpoint and beside the others."""
    beside = [n for n in range(STEPS_PER_EPOCH + 1, 2 * STEPS_PER_EPOCH) if n % 7]
    return random.Random(zlib.crc32(word.encode())).choice(beside)


def compare(step: int, *overrides: str) -> Path:
    """Asserts that dying after `step` changes nothing; the folder of the resumed run."""
    whole, resumed = whole_and_resumed(step, *overrides)
    assert_same_run(whole, resumed)
    return resumed


@pytest.mark.parametrize("optimizer", few(OPTIMIZERS, 12))
def test_every_optimizer(optimizer: str) -> None:
    overrides = [*HARD, *schedule_for(optimizer), f"optimizer={optimizer}"]
    overrides += NAMED.get(optimizer, [])
    resumed = compare(random_step(optimizer), *overrides)
    assert status_of(resumed)["state"] == "finished"


@pytest.mark.parametrize(
    "overrides",
    [
        ["precision=fp16", "optimizer=adamw"],
        ["precision=fp16", "optimizer=muon"],
        ["precision=bf16", "optimizer=adam"],
        ["ema=0.9", "optimizer=sgd", "optimizer.momentum=0.9"],
        ["checkpoint=async", "optimizer=adamw"],
        ["checkpoint=async", "optimizer=lbfgs", "ema=0.9"],
        ["optimizer=adam", "optimizer.amsgrad=true", "model.batch_norm=true"],
        ["optimizer=sgd", "optimizer.implementation=loop", "optimizer.groups=[{params: head.*}]"],
        ["optimizer=adamw", "eval.every=5", "monitor.every=3", "monitor.histograms=4"],
    ],
    ids=" ".join,
)
def test_every_part_of_the_state(overrides: list[str]) -> None:
    resumed = compare(random_step(str(overrides)), *HARD, *COSINE, *overrides)
    assert status_of(resumed)["state"] == "finished"


def test_one_cycle_with_its_momentum() -> None:
    resumed = compare(38, *HARD, "schedule=one_cycle", "optimizer=adam")
    assert status_of(resumed)["state"] == "finished"


def test_the_scale_that_overflows_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """From so high a scale fp16 skips its first steps."""
    high = partial(Precision, initial_scale=2.0**24)
    monkeypatch.setattr("optbench.assemble.experiment.Precision", high)
    resumed = compare(40, *HARD, "precision=fp16", "optimizer=adamw")
    skipped = [m["precision/skipped_steps"] for m in metrics_of(resumed) if m["kind"] == "train"]
    assert skipped[0] > 0
    scaler = state_of(resumed)["state.pt"]["scaler"]
    assert scaler["scale"] < 2**24 and scaler["_growth_tracker"] > 0


PLATEAU = [
    "schedule=plateau",
    "schedule.patience=1",
    "schedule.threshold=0.2",
    "schedule.factor=0.5",
    "optimizer.lr=0.01",
    "eval.every=3",
]


def test_a_plateau_that_has_cut_before_and_cuts_after() -> None:
    resumed = compare(31, *HARD, *PLATEAU)
    rates = {m["step"]: m["lr/model"] for m in metrics_of(resumed) if "lr/model" in m}
    assert rates[30] < 0.01, "no cut before the kill: the test shows nothing"
    assert rates[52] < rates[30], "no cut after the kill: the test shows nothing"


def test_patience_that_runs_out_after_the_kill() -> None:
    stopping = ["optimizer.lr=0.1", "eval.every=3", "early_stopping.patience=4"]
    assert train(Path("probe"), *HARD, *stopping) == 0
    stop = status_of(Path("probe"))
    assert stop["state"] == "stopped_early"
    # Two of the four fruitless evaluations lie before the kill.
    step = stop["step"] - 5
    assert any(s < step for s in checkpoint.steps(Path("probe/checkpoints")))
    resumed = compare(step, *HARD, *stopping)
    assert status_of(resumed) | {"started": "", "updated": ""} == (
        stop | {"started": "", "updated": ""}
    )


def test_killed_before_the_first_checkpoint(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    overrides = [*HARD, *COSINE, "monitor.every=2"]
    assert train(Path("whole"), *overrides) == 0
    killed_run(monkeypatch, Path("dying"), 5, Path("resumed"), *overrides)
    assert not Path("resumed/checkpoints").exists()
    assert resume(Path("resumed")) == 0
    assert capsys.readouterr().err.count("there is no checkpoint") == 1
    assert_same_run(Path("whole"), Path("resumed"))


def test_killed_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second death comes before the first checkpoint after the resume."""
    overrides = [*HARD, *COSINE, "monitor.every=1"]
    assert train(Path("whole"), *overrides) == 0
    killed_run(monkeypatch, Path("dying"), 31, Path("once"), *overrides)
    once = partial(resume, Path("once"))
    killed_run(monkeypatch, Path("once"), 33, Path("twice"), again=once)
    assert resume(Path("twice")) == 0
    assert_same_run(Path("whole"), Path("twice"))


def test_resuming_a_finished_run_changes_nothing() -> None:
    assert train(Path("whole"), *HARD) == 0
    before = {path: path.read_bytes() for path in Path("whole").rglob("*") if path.is_file()}
    assert resume(Path("whole")) == 0
    after = {path: path.read_bytes() for path in Path("whole").rglob("*") if path.is_file()}
    assert after == before


def test_a_finished_run_made_longer_equals_a_long_one() -> None:
    """With a schedule that does not depend on the run's length."""
    overrides = [*HARD, "eval.every=13", "checkpoint.every=13", "optimizer=adamw"]
    assert train(Path("long"), *overrides) == 0
    assert train(Path("short"), *overrides, "epochs=1") == 0
    assert resume(Path("short"), "epochs=2") == 0
    assert_same_run(Path("long"), Path("short"))
