"""What no function takes: one line says what it does; and a callback's end is not for good."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import optbench

ANY: Any = optbench
"""The package, to be called as no checker would let it."""


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda: ANY.compose("optimizer.lr=1,2"), "several values need optbench.sweep"),
        (lambda: ANY.train("seed=0,1"), "seed=0,1: several values need optbench.sweep"),
        (lambda: ANY.train(["x=1"]), "not of type list; of a list: train(*overrides)"),
        (lambda: ANY.compose(None), "compose: overrides are texts, such as 'epochs=3', not None"),
        (lambda: ANY.sweep({"x": 1}), "sweep: overrides are texts"),
        (lambda: ANY.resume("run", ["x"]), "resume: overrides are texts"),
        (lambda: ANY.pbt(["space=lr"]), "pbt: overrides are texts"),
        (lambda: ANY.pbt("members=1", "space=lr"), "members=1: not valid; expected a whole number"),
        (lambda: ANY.pbt("steps=3"), "pbt: which space?"),
        (lambda: ANY.pbt("steps=3", "space=lr", folder=3), "folder: expected a folder's path"),
        (lambda: ANY.resume(["run"]), "expected a folder's path"),
        (lambda: ANY.resume(None), "not None"),
        (lambda: ANY.resume(""), "resume=: which run?"),
        (lambda: ANY.resume_sweep(3), "expected a folder's path, as text or pathlib.Path"),
        (lambda: ANY.resume_sweep("nosuch"), "nosuch: no such folder"),
        (lambda: ANY.resume_sweep("nosuch", trust="no"), "trust='no': expected True or False"),
        (lambda: ANY.open_run(3), "not of type int"),
        (lambda: ANY.open_run(""), "which run?"),
        (lambda: ANY.open_run(b"run"), "not of type bytes"),
        (lambda: ANY.find_runs(["a", "b"]), "several are given one by one"),
        (lambda: ANY.find_runs(""), "which folder?"),
        (lambda: ANY.train("steps=1", folder=3), "folder: expected a folder's path"),
        (lambda: ANY.sweep("steps=1", folder=[]), "folder: expected a folder's path"),
        (lambda: ANY.train("steps=1", quiet="no"), "quiet='no': expected True or False"),
        (lambda: ANY.sweep("steps=1", callbacks=3), "callbacks=3: expected a list"),
        (lambda: ANY.sweep("steps=1", callbacks=[Late()]), "Late.on_epoch_end is never called"),
        (
            lambda: ANY.train("steps=1", callbacks=[Late()]),
            "there is on_checkpoint, on_due, on_",
        ),
        (lambda: ANY.resume(optbench.Run(Path("x"))), "not of type Run; its folder is .path"),
        (lambda: ANY.train("steps=1", config_dir="nosuch"), "config_dir=nosuch: no such folder"),
        (lambda: ANY.train("steps=1", config_dir=3), "expected a folder's path"),
        (lambda: ANY.train("steps=1", config_dir=__file__), "a file, where a folder is meant"),
        (lambda: ANY.train("steps=1", folder=__file__), f"folder={__file__}: a file, where"),
        (lambda: ANY.check("steps=1", out=3), "out: expected a folder's path"),
        (lambda: ANY.probe("run", out=3), "out: expected a folder's path"),
        (lambda: ANY.find_lr("steps=1", low="x"), "low='x': expected a learning rate above 0"),
        (lambda: ANY.find_lr("steps=1", low=1, high=0.1), "low=1: not below high=0.1"),
        (lambda: ANY.find_lr("steps=1", seeds=0), "seeds=0: expected a whole number, at least 1"),
        (lambda: ANY.find_lr(["steps=1"]), "find_lr: overrides are texts"),
        (lambda: ANY.train('name="a\nb"'), r"name=a\nb: not valid"),
        (lambda: ANY.train("-m"), "-m: a flag of the command line; optbench.sweep needs none"),
        (lambda: ANY.tune("--help"), "--help: a flag of the command line; see help(optbench.tune)"),
    ],
)
def test_a_wrong_argument_is_one_line(
    wrong: Callable[[], object], says: str, workplace: Path
) -> None:
    with pytest.raises(optbench.UserError) as raised:
        wrong()
    assert says in str(raised.value) and "\n" not in str(raised.value)
    assert not list(workplace.iterdir())


class Late(optbench.Callback):
    """Waits for what never comes."""

    def on_epoch_end(self, trainer: Any, epoch: int) -> None:
        raise AssertionError


class Stop(optbench.Callback):
    """Asks for an end after two steps."""

    def on_step_end(self, trainer: Any, step: int) -> None:
        if step == 2:
            trainer.request_stop("enough")


def test_a_run_that_a_callback_stopped_goes_on_to_its_planned_length() -> None:
    words = ("threads=1", "device=cpu", "model.hidden=[4]", "steps=4")
    stopped = optbench.train(*words, folder="run", callbacks=[Stop()])
    assert (stopped.state, stopped.step) == ("stopped_early", 2)
    assert optbench.open_run(stopped.run).state == "stopped_early"
    again = optbench.resume("run")
    assert (again.state, again.step) == ("stopped_early", 2)
    on = optbench.resume("run", "steps=4")
    assert (on.state, on.step) == ("finished", 4)
    whole = optbench.train(*words, folder="whole")
    assert on.metrics["test/loss"] == whole.metrics["test/loss"]


SMALL = ("threads=1", "device=cpu", "model.hidden=[4]", "steps=3", "eval.every=2")


class Count(optbench.Callback):
    """Counts the steps that it is told of."""

    def __init__(self) -> None:
        self.steps = 0

    def on_step_end(self, trainer: Any, step: int) -> None:
        self.steps += 1


def test_a_sweep_tells_callbacks_of_each_run_and_none_are_none() -> None:
    count = Count()
    optbench.sweep("seed=0,1", *SMALL, folder="both", callbacks=[count])
    assert count.steps == 6
    optbench.resume_sweep("both", callbacks=[count])
    assert count.steps == 6
    assert optbench.train(*SMALL, folder="run", callbacks=None).step == 3
    assert optbench.resume("run", "steps=4", callbacks=None).step == 4


def test_a_result_points_to_its_folder_and_a_misspelt_name_to_the_right_one() -> None:
    result = optbench.train(*SMALL, "optimizer=adam", folder="run")
    run = result.run
    for wrong, says in (
        (lambda: ANY.resume(result), "not of type RunResult; its folder is .run.path"),
        (lambda: run.setting("optimizer.lrr"), "optimizer.lrr: no such key; did you mean optim"),
        (lambda: run.setting("step"), "step: no such key; did you mean steps?"),
        (lambda: run.setting("lr"), "lr: no such key; did you mean optimizer.lr?"),
        (lambda: ANY.open_run("run").setting(3), "setting: expected a key"),
        (lambda: ANY.open_run("run").series(3), "series: expected a tag, such as 'val/loss', not"),
    ):
        with pytest.raises(optbench.UserError) as raised:
            wrong()
        assert says in str(raised.value)
    assert run.setting("optimizer.momentum") is None  # of other optimizers
    nadam = optbench.train(*SMALL, "optimizer=nadam", folder="nadam").run
    assert nadam.setting("optimizer.momentum") is None  # though it has a momentum_decay


def test_best_is_empty_of_a_run_that_diverged_at_once() -> None:
    diverged = optbench.train(*SMALL, "optimizer=sgd", "optimizer.lr=1e30", folder="diverged")
    good = optbench.train(*SMALL, folder="good")
    assert diverged.state == "diverged" and diverged.run.best == {}
    assert (diverged.run.summary["best"], diverged.run.summary["target"]) == ({}, {})
    assert good.run.summary["best"] == good.best
    assert good.run.best == good.best
    runs = optbench.find_runs(".")
    assert max(runs, key=lambda each: each.best.get("value", 0.0)).path.name == "good"
