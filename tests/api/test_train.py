"""Training from Python: the same runs as the command line's, and a process left as it was."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cli.program import assert_same_bits, call, final_state
from hydra import compose, initialize
from hydra.core.global_hydra import GlobalHydra

import optbench
from optbench.rundir import RunDir

SMALL = ["model.hidden=[8]", "threads=1", "device=cpu"]


def signals() -> list[Any]:
    return [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]


def test_a_run_is_the_command_lines_to_the_bit(capfd: pytest.CaptureFixture[str]) -> None:
    result = optbench.train("optimizer=lion", *SMALL, "steps=6", folder="here")
    assert capfd.readouterr() == ("", "")
    assert (result.state, result.step, result.exit_code) == ("finished", 6, 0)
    answer = call(f"train optimizer=lion {' '.join(SMALL)} steps=6 hydra.run.dir=there")
    assert answer.code == 0, answer.err
    assert_same_bits(final_state(result.folder), final_state(RunDir(Path("there"))))
    assert "finished at step 6" in result.folder.log.read_text(encoding="utf-8")


def test_it_says_what_it_is_asked_to(capfd: pytest.CaptureFixture[str]) -> None:
    optbench.train(*SMALL, "steps=2", folder="here", quiet=False)
    said = capfd.readouterr()
    assert said.out == "" and "training digits-mlp-adamw in here" in said.err


def test_the_process_is_left_as_it_was() -> None:
    torch.set_num_threads(2)
    torch.set_float32_matmul_precision("high")
    before = signals()
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    drawn = random.random(), float(np.random.rand()), float(torch.rand(()))
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    optbench.train(*SMALL, "steps=2", "deterministic=true")
    optbench.sweep(*SMALL, "steps=2", "seed=0,1")
    optbench.find_runs()[0].model(at="last")
    assert (random.random(), float(np.random.rand()), float(torch.rand(()))) == drawn
    assert torch.get_num_threads() == 2
    assert torch.get_float32_matmul_precision() == "high"
    assert not torch.are_deterministic_algorithms_enabled()
    assert signals() == before
    torch.set_float32_matmul_precision("highest")


def test_a_program_of_hydras_keeps_its_own(tmp_path: Path) -> None:
    with initialize(version_base="1.2", config_path=None):
        own = GlobalHydra.instance().hydra
        assert optbench.compose("steps=3").config.steps == 3
        assert GlobalHydra.instance().hydra is own
        assert compose(overrides=["+x=1"]).x == 1
    assert not GlobalHydra.instance().is_initialized()


def test_a_folder_that_is_there_is_not_taken() -> None:
    first, second = (optbench.train(*SMALL, "steps=1", folder="here") for _ in range(2))
    assert [r.folder.path.name for r in (first, second)] == ["here", "here-2"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["optimiser=sgd"], "optimiser=sgd: no such key; did you mean optimizer?"),
        (["optimizer=sgd,adam"], "several values need optbench.sweep"),
        (["resume=there"], "resume=there: a run is gone on with by optbench.resume"),
        (["batch_size=100000"], "larger than the training set"),
        (["steps"], "steps"),
    ],
)
def test_bad_input_is_raised_and_leaves_nothing(
    words: list[str], says: str, workplace: Path
) -> None:
    with pytest.raises(optbench.UserError, match=says.replace("?", r"\?")):
        optbench.train(*SMALL, *words, folder="here")
    assert list(workplace.iterdir()) == []


def test_a_spec_stands_alone() -> None:
    spec = optbench.compose(*SMALL, "steps=2")
    assert optbench.train(spec, folder="here").step == 2
    with pytest.raises(optbench.UserError, match="a RunSpec stands alone"):
        optbench.train(spec, "steps=3")


class Raising(optbench.Callback):
    def __init__(self, error: BaseException) -> None:
        self.error = error

    def on_step_end(self, trainer: Any, step: int) -> None:
        if step == 2:
            raise self.error


@pytest.mark.parametrize(
    ("error", "ended", "says"),
    [
        (ValueError("mine"), ("failed", 2), "ValueError: mine"),
        (KeyboardInterrupt(), ("preempted", 0), "interrupted, without a checkpoint of step 2"),
    ],
)
def test_what_ends_a_run_is_raised_when_its_folder_says_so(
    error: BaseException, ended: tuple[str, int], says: str
) -> None:
    with pytest.raises(type(error)) as raised:
        optbench.train(*SMALL, "steps=4", folder="here", callbacks=[Raising(error)])
    assert raised.value is error
    run = optbench.open_run("here")
    assert (run.state, run.status["step"]) == ended
    assert says in RunDir(run.path).log.read_text(encoding="utf-8")


class Seen(optbench.Callback):
    def __init__(self) -> None:
        self.scores: dict[int, float] = {}

    def on_evaluation(self, trainer: Any, step: int, metrics: Mapping[str, float]) -> None:
        self.scores[step] = metrics["val/loss"]
        if step == 4:
            trainer.request_stop("enough")


def test_a_callback_sees_scores_and_stops_the_run() -> None:
    seen = Seen()
    result = optbench.train(*SMALL, "steps=8", "eval.every=2", folder="here", callbacks=[seen])
    assert (result.state, result.message) == ("stopped_early", "enough")
    assert list(seen.scores) == [2, 4]
    assert seen.scores[4] == result.metrics["val/loss"]


BAD = [Seen(), [Seen], [lambda *told: None], [None], 3]


@pytest.mark.parametrize("callbacks", BAD, ids=lambda bad: f"{bad!r:.20}")
def test_what_is_no_list_of_callbacks_touches_nothing(callbacks: Any) -> None:
    with pytest.raises(optbench.UserError, match=r"expected a list of optbench.Callback's"):
        optbench.train(*SMALL, "steps=2", folder="new", callbacks=callbacks)
    assert not Path("new").exists()
    optbench.train(*SMALL, "steps=2", folder="here")
    before = Path("here/status.json").read_bytes()
    with pytest.raises(optbench.UserError, match=r"expected a list of optbench.Callback's"):
        optbench.resume("here", "steps=4", callbacks=callbacks)
    assert Path("here/status.json").read_bytes() == before


def test_an_error_before_the_first_step_is_in_the_status(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object) -> None:
        raise ZeroDivisionError("ours")

    monkeypatch.setattr("optbench.runs.execute.make_recorder", broken)
    with pytest.raises(ZeroDivisionError):
        optbench.train(*SMALL, "steps=2", folder="here")
    assert optbench.open_run("here").status["message"] == "ZeroDivisionError: ours"
    assert optbench.open_run("here").state == "failed"


@pytest.mark.parametrize("function", ["train", "compose", "sweep"])
@pytest.mark.parametrize("override", [["steps=2"], 3, None], ids=repr)
def test_overrides_are_texts(function: str, override: Any) -> None:
    with pytest.raises(optbench.UserError, match=f"{function}: overrides are texts"):
        getattr(optbench, function)(override)


class Signalled(optbench.Callback):
    def __init__(self, number: int) -> None:
        self.number = number

    def on_step_end(self, trainer: Any, step: int) -> None:
        if step == 2:
            os.kill(os.getpid(), self.number)


def test_ctrl_c_ends_the_run_with_a_checkpoint_and_is_raised() -> None:
    with pytest.raises(KeyboardInterrupt):
        optbench.train(*SMALL, "steps=50", folder="here", callbacks=[Signalled(signal.SIGINT)])
    run = optbench.open_run("here")
    assert run.state == "preempted" and run.checkpoints.last == run.status["step"]
    assert optbench.resume("here").state == "finished"


def test_a_signal_comes_to_whoever_had_it() -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    try:
        told = [Signalled(signal.SIGTERM)]
        result = optbench.train(*SMALL, "steps=50", folder="here", callbacks=told)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert (heard, result.state, result.exit_code) == ([signal.SIGTERM], "preempted", 143)
