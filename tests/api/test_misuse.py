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
        (lambda: ANY.resume(["run"]), "expected a folder's path"),
        (lambda: ANY.resume(None), "not None"),
        (lambda: ANY.resume(""), "resume=: which run?"),
        (lambda: ANY.resume_sweep(3), "expected a folder's path, as text or pathlib.Path"),
        (lambda: ANY.resume_sweep("nosuch"), "nosuch: no such folder"),
        (lambda: ANY.open_run(3), "not of type int"),
        (lambda: ANY.open_run(""), "which run?"),
        (lambda: ANY.open_run(b"run"), "not of type bytes"),
        (lambda: ANY.find_runs(["a", "b"]), "several are given one by one"),
        (lambda: ANY.find_runs(""), "which folder?"),
        (lambda: ANY.train("steps=1", folder=3), "expected a folder's path"),
        (lambda: ANY.sweep("steps=1", folder=[]), "expected a folder's path"),
        (lambda: ANY.train("steps=1", config_dir="nosuch"), "config_dir=nosuch: no such folder"),
        (lambda: ANY.train("steps=1", config_dir=3), "expected a folder's path"),
    ],
)
def test_a_wrong_argument_is_one_line(
    wrong: Callable[[], object], says: str, workplace: Path
) -> None:
    with pytest.raises(optbench.UserError) as raised:
        wrong()
    assert says in str(raised.value) and "\n" not in str(raised.value)
    assert not list(workplace.iterdir())


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
