"""A trainer that runs to where it is told, and who is told as it does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from optbench.monitor.record import Recorder
from optbench.rundir import RunDir
from optbench.training.callback import Callback
from optbench.training.signals import Interruption
from optbench.training.trainer import Trainer

from .experiments import Live, Memory, experiment
from .ranks import ranks
from .runs import CLOCKED, assert_same_bits, metrics_of, status_of

RUN = ["steps=12", "batch_size=50", "eval.every=5", "checkpoint.every=4", "monitor.every=3"]


class Told(Callback):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.steps: list[int] = []
        self.evaluations: list[int] = []
        self.checkpoints: list[int] = []
        self.best: list[int] = []

    def on_step_end(self, trainer: Trainer, step: int) -> None:
        self.steps.append(step)

    def on_evaluation(self, trainer: Trainer, step: int, metrics: Mapping[str, float]) -> None:
        self.evaluations.append(step)
        self.best.append(trainer.state.best.step)

    def on_checkpoint(self, trainer: Trainer, step: int) -> None:
        self.checkpoints.append(step)


def trainer_of(folder: Path, *callbacks: Callback, run: list[str] = RUN) -> tuple[Trainer, Memory]:
    made, memory = experiment(*run), Memory()
    recorder = Recorder([memory], live=Live(lambda step: None))
    return made.trainer(recorder, made.keeper(RunDir(folder)), Interruption(), callbacks), memory


def records_of(memory: Memory) -> list[object]:
    return [
        (r.kind, r.step, {t: v for t, v in r.values.items() if t not in CLOCKED})
        for r in memory.records
    ]


@pytest.mark.parametrize("pieces", [[1], [5, 5, 8], [4, 20], [*range(13)]], ids=str)
def test_a_run_in_pieces_is_the_run_that_is_not(pieces: list[int], tmp_path: Path) -> None:
    whole, at_once = trainer_of(tmp_path / "whole")
    whole.fit()
    told = Told()
    trainer, memory = trainer_of(tmp_path / "pieces", told)
    for until in pieces:
        assert trainer.run(until).state == "running"
        assert trainer.progress.step == min(until, 12)
    trainer.run()
    assert "test" not in {record.kind for record in memory.records}
    assert trainer.finish().state == "finished"
    assert records_of(memory) == records_of(at_once)
    for one, other in zip(trainer.players, whole.players, strict=True):
        assert_same_bits(one.state_dict(), other.state_dict())
    assert told.steps == [*range(1, 13)]


def test_it_is_finished_once(tmp_path: Path) -> None:
    trainer, memory = trainer_of(tmp_path)
    trainer.run(until=6)
    assert trainer.finish().state == "finished"
    assert memory.kinds("test") == [6]
    for again in (trainer.run, trainer.finish, trainer.fit):
        with pytest.raises(RuntimeError, match="the run is finished"):
            again()


def test_each_is_told_once_and_when_all_is_known(tmp_path: Path) -> None:
    told = Told()
    trainer, _ = trainer_of(tmp_path, told)
    trainer.fit()
    assert told.evaluations == [5, 10, 12]
    assert told.best == told.evaluations, "of a loss that falls each is the best so far"
    assert told.checkpoints == [4, 5, 8, 10, 12, 12], "the last once more, with its score"


class Stops(Callback):
    def on_step_end(self, trainer: Trainer, step: int) -> None:
        if step == 7:
            trainer.request_stop("enough")
            trainer.request_stop("too much")


def test_a_wish_to_stop_ends_the_run_with_all_that_an_end_asks_for(tmp_path: Path) -> None:
    trainer, memory = trainer_of(tmp_path, Stops())
    outcome = trainer.fit()
    assert (outcome.state, outcome.message) == ("stopped_early", "enough")
    assert trainer.progress.step == 7 and memory.kinds("val") == [5, 7]
    assert memory.kinds("test") == [7]


RANKS = """
import os, optbench
class Stops(optbench.Callback):
    def on_step_end(self, trainer, step):
        if os.environ["RANK"] == "1" and step == 7:
            trainer.request_stop("enough of rank 1")
result = optbench.train(
    "model.hidden=[8]", "threads=1", "device=cpu", "steps=40", "batch_size=50",
    folder="run", callbacks=[Stops()],
)
assert (result.state, result.step) == ("stopped_early", 8), (result.state, result.step)
"""


@pytest.mark.slow
def test_a_wish_of_one_rank_stops_all() -> None:
    Path("stops.py").write_text(RANKS, encoding="utf-8")
    ranks([], program=("stops.py",))
    assert status_of(Path("run"))["state"] == "stopped_early"
    assert metrics_of(Path("run"))[-1]["step"] == 8
