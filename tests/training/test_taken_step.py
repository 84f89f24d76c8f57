"""An optimizer's step, past what torch has put around it, or not."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.optim.lr_scheduler import StepLR
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from optbench.torch_internals import take_step

RANGE = "Optimizer.step#SGD.step"


@pytest.fixture
def optimizer() -> torch.optim.SGD:
    weight = torch.nn.Parameter(torch.ones(3))
    weight.grad = torch.full((3,), 2.0)
    return torch.optim.SGD([weight], lr=0.25)


@pytest.fixture
def ranges(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Names that torch has told a profiler, whether or not there is one."""
    found: list[str] = []
    ordinary = torch.autograd.profiler.record_function

    def noting(name: str) -> object:
        found.append(name)
        return ordinary(name)

    monkeypatch.setattr(torch.autograd.profiler, "record_function", noting)
    yield found


def weights(optimizer: torch.optim.Optimizer) -> list[float]:
    values: list[float] = optimizer.param_groups[0]["params"][0].tolist()
    return values


def test_nobody_is_told_of_a_step_that_nobody_asks_about(
    optimizer: torch.optim.SGD, ranges: list[str]
) -> None:
    take_step(optimizer)
    assert weights(optimizer) == [0.5] * 3 and ranges == []


@pytest.mark.parametrize(
    "register",
    [
        torch.optim.Optimizer.register_step_pre_hook,
        torch.optim.Optimizer.register_step_post_hook,
        lambda one, hook: register_optimizer_step_pre_hook(hook),
        lambda one, hook: register_optimizer_step_post_hook(hook),
    ],
)
def test_hooks_are_called(
    optimizer: torch.optim.SGD, register: Callable[..., torch.utils.hooks.RemovableHandle]
) -> None:
    called: list[object] = []
    handle = register(optimizer, lambda one, *rest: called.append(one))
    try:
        take_step(optimizer)
    finally:
        handle.remove()
    take_step(optimizer)
    assert called == [optimizer] and weights(optimizer) == [0.0] * 3


@pytest.mark.parametrize("everywhere", [False, True])
def test_a_profiler_sees_the_step(optimizer: torch.optim.SGD, everywhere: bool) -> None:
    """One of this thread, and one of all."""
    config = torch.profiler._ExperimentalConfig(profile_all_threads=everywhere)
    only = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=only, experimental_config=config) as profile:
        take_step(optimizer)
    assert RANGE in {event.key for event in profile.key_averages()}


def test_a_scheduler_sees_the_step(
    optimizer: torch.optim.SGD, recwarn: pytest.WarningsRecorder
) -> None:
    """Torch's warn if they come before the first step, which they notice by a step of their own."""
    scheduler = StepLR(optimizer, 1)
    take_step(optimizer)
    scheduler.step()
    assert weights(optimizer) == [0.5] * 3
    assert not [each for each in recwarn if "optimizer.step" in str(each.message)]


def test_a_step_of_its_own_is_taken(optimizer: torch.optim.SGD) -> None:
    taken: list[str] = []
    optimizer.step = lambda closure=None: taken.append("own")  # type: ignore[method-assign]
    take_step(optimizer)
    assert taken == ["own"] and weights(optimizer) == [1.0] * 3


def test_a_step_that_somebody_has_put_in_a_class_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """`wraps` copies the mark by which torch knows a step that has its hooks."""
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer, taken = torch.optim.SGD([weight], lr=1.0), list[str]()

    @wraps(torch.optim.SGD.step)
    def counted(self: torch.optim.SGD, closure: Any = None) -> Any:
        taken.append("counted")
        return ordinary(self, closure)

    ordinary = torch.optim.SGD.step
    monkeypatch.setattr(torch.optim.SGD, "step", counted)
    take_step(optimizer)
    assert taken == ["counted"]


def test_an_optimizer_that_is_not_made_as_torch_makes_them_takes_its_step() -> None:
    class Own(torch.optim.Optimizer):
        def __init__(self) -> None:
            self.param_groups, self.taken = [], 0

        def step(self, closure: Any = None) -> None:  # type: ignore[override]
            self.taken += 1

    optimizer = Own()
    take_step(optimizer)
    assert optimizer.taken == 1


WITHOUT = """
import sys
from optbench import resume, train
from torch.optim import Optimizer

names = ("add_param_group", "load_state_dict", "state_dict")
methods = [vars(Optimizer)[name] for name in names]
for optimizer in ("adamw", "sgd", "adam optimizer.implementation=loop"):
    words = ["dataset=digits", "steps=2", f"hydra.run.dir=runs/{optimizer.partition(' ')[0]}"]
    result = train(*words, *f"optimizer={optimizer}".split(), quiet=True)
    assert result.state == "finished" and "torch._dynamo" not in sys.modules, optimizer
    resumed = resume(result.folder.path, "steps=3")
    assert resumed.step == 3 and "torch._dynamo" not in sys.modules, optimizer
assert methods == [vars(Optimizer)[name] for name in names]

from functools import wraps
from optbench.torch_internals import past_the_compiler

@wraps(Optimizer.state_dict)
def counted(self):
    pass

Optimizer.state_dict = counted
with past_the_compiler():
    assert Optimizer.state_dict is counted
    Optimizer.add_param_group = counted
assert Optimizer.state_dict is Optimizer.add_param_group is counted
"""


def test_no_run_imports_the_compiler(tmp_path: Path) -> None:
    """Optimizers of torch do, to be left out of what it compiles: for two thirds of a second."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", WITHOUT]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True)
    assert done.returncode == 0, done.stderr.decode("utf-8")
