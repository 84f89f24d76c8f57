"""Code of the user's own: a value that it refuses is one line, an error in it has its traceback."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import torch

from optbench.rundir import RunDir

from .program import SMALL, call, final_state

PARTS = """
import torch
from torch import nn

class Refuses(torch.optim.SGD):
    def __init__(self, params, lr=0.1):
        if lr > 0.05:
            raise ValueError("lr is too large")
        super().__init__(params, lr=lr)

Momentum = torch.optim.SGD

class Adds(torch.optim.SGD):
    def __init__(self, params, lr=0.1):
        [1, 2] + lr

class Looks(torch.optim.SGD):
    def __init__(self, params, lr=0.1):
        {}["momentum"]

class Exits(torch.optim.SGD):
    def __init__(self, params, lr=0.1):
        raise SystemExit(3)

class Lazy(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        parts = nn.LazyConv2d(2, 3), nn.LazyBatchNorm2d(), nn.Flatten(), nn.Dropout()
        self.net = nn.Sequential(*parts, nn.LazyLinear(num_classes))

    def forward(self, x):
        return self.net(x)

class Unused(Lazy):
    def __init__(self, num_classes):
        super().__init__(num_classes)
        self.other = nn.LazyLinear(3)

class Linear(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.layer = nn.Linear(64, num_classes)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        self.calls += 1
        return self.layer(x.flatten(1))

class Pair(Linear):
    def forward(self, x):
        return super().forward(x), 1

class Named(Linear):
    def forward(self, x):
        return {"logits": super().forward(x)}

class Narrow(Linear):
    def forward(self, x):
        return super().forward(x)[:, :3]

class Whole(Linear):
    def forward(self, x):
        return super().forward(x).sum()

class Fails(Linear):
    def forward(self, x):
        return self.nothing_of_this_name

class Empty(nn.Module):
    def forward(self, x):
        return torch.zeros(len(x), 10)

class Images(torch.utils.data.Dataset):
    def __len__(self):
        return 10

class Unread:
    def __init__(self):
        raise OSError("no disk")

def nothing():
    return None

def gives_none(step, total):
    return None

def gives_tensor(step, total):
    return torch.tensor(0.5)

def fails_late(step, total):
    return undefined if step else 1.0

number = 5
"""

LINES = [
    ("optimizer", "Refuses", "optimizer.lr=0.1", "optimizer: lr is too large (", "OPTBENCH_TRACE"),
    ("optimizer", "Nope", "", "optimizer._target_=parts.Nope: no such class or function", ""),
    ("optimizer", "number", "", "expected a class or function, found an object of int", ""),
    ("optimizer", "Linear", "", "not a torch.optim.Optimizer", ""),
    ("optimizer", "Refuses", "'optimizer.arguments={foo: 1}'", "optimizer.arguments.foo", ""),
    (
        "optimizer",
        "Momentum",
        "'optimizer.arguments={momentum: \"0.9\"}'",
        "optimizer: '<' not supported between",
        '(momentum is the text "0.9"; a number has no quotes)',
    ),
    ("model", "Unused", "", "model=mine: other.weight is lazy", ""),
    ("model", "Pair", "", "model=mine: does not fit", "the model gives a tuple"),
    ("model", "Named", "", "model=mine: does not fit", "the model gives a dict"),
    ("model", "Narrow", "", "shape [2, 3], not logits [2, 10]", ""),
    ("model", "Whole", "", "shape [], not logits [2, 10]", ""),
    ("model", "Empty", "", "empty parameter list", ""),
    ("model", "nothing", "", "gives nothing; expected a torch.nn.Module", ""),
    ("model", "Images", "", "gives an object of Images; expected a torch.nn.Module", ""),
    (
        "dataset",
        "Images",
        "",
        "gives an object of Images, which has no train_size, ",
        "dataset=custom",
    ),
    ("dataset", "number", "", "expected a class or function", ""),
    ("task", "nothing", "", "gives nothing; expected a Task", ""),
    ("schedule", "gives_none", "", "schedule: gives None at step", ""),
    ("schedule", "gives_tensor", "", "schedule: gives tensor(0.5000) at step", ""),
    ("schedule", "number", "", "expected a class or function", ""),
]

TRACES = [
    ("optimizer", "Adds", "[1, 2] + lr", "optimizer: TypeError: can only concatenate list"),
    ("optimizer", "Looks", '{}["momentum"]', "optimizer: KeyError: 'momentum'"),
    ("optimizer", "Exits", "raise SystemExit(3)", "optimizer: SystemExit: 3"),
    ("model", "Fails", "self.nothing_of_this_name", "model=mine: AttributeError"),
    ("dataset", "Unread", 'raise OSError("no disk")', "dataset: OSError: no disk"),
    ("schedule", "fails_late", "return undefined", "schedule: at step 2: NameError"),
]

MODULES = [
    ("def f(:\n", "SyntaxError"),
    ("from os import no_such_name\n", "ImportError"),
    ("x = 1 / 0\n", "ZeroDivisionError"),
    ("import sys\nsys.exit(3)\n", "SystemExit"),
]


@pytest.fixture(autouse=True)
def parts(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (workplace / "parts.py").write_text(PARTS, encoding="utf-8")
    monkeypatch.delitem(sys.modules, "parts", raising=False)
    monkeypatch.syspath_prepend(str(workplace))


def chosen(group: str, name: str) -> str:
    """Overrides that take a class of the module, through a file where there is no `custom`."""
    if group in ("optimizer", "schedule"):
        return f"{group}=custom {group}._target_=parts.{name}"
    file = Path("cfg", group, "mine.yaml")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"_target_: parts.{name}\n", encoding="utf-8")
    return f"--config-dir cfg {group}=mine"


def left() -> set[str]:
    return set(os.listdir()) - {"parts.py", "cfg", "__pycache__", "broken.py"}


def command(group: str, name: str, more: str = "") -> str:
    small = SMALL if group != "model" else "threads=1 device=cpu"
    return f"train {small} steps=2 {chosen(group, name)} {more}"


@pytest.mark.parametrize(("group", "name", "more", "said", "too"), LINES)
def test_what_can_not_be_used_is_told_in_one_line(
    group: str, name: str, more: str, said: str, too: str
) -> None:
    answer = call(command(group, name, more))
    assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1)
    assert said in answer.err and too in answer.err
    assert not left()


@pytest.mark.parametrize(("group", "name", "source", "said"), TRACES)
def test_an_error_inside_own_code_keeps_its_traceback(
    group: str, name: str, source: str, said: str
) -> None:
    answer = call(command(group, name))
    *trace, last = answer.err.splitlines()
    assert answer.code == 1
    assert last.startswith(f"optbench: {said}") and "parts.py:" in last
    first = next(line for line in trace if line.startswith("  File "))
    assert "parts.py" in first  # none of ours before it
    assert any(source in line for line in trace)
    assert not left()


@pytest.mark.parametrize(("text", "kind"), MODULES)
def test_a_module_that_fails_when_imported_is_shown(
    text: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("broken.py").write_text(text, encoding="utf-8")
    monkeypatch.delitem(sys.modules, "broken", raising=False)
    answer = call("train steps=1 optimizer=custom optimizer._target_=broken.Class")
    assert answer.code == 1
    assert "broken.py" in answer.err
    said = f"optbench: optimizer._target_=broken.Class: can't be imported: {kind}"
    assert answer.err.splitlines()[-1].startswith(said)
    assert not left()


@pytest.mark.parametrize("line", ["train optimizer=adamm", "train optimizer.lr=-1"])
def test_any_traceback_is_shown_if_asked_for(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = call(line)
    monkeypatch.setenv("OPTBENCH_TRACEBACK", "1")
    shown = call(line)
    assert shown.code == 2
    assert shown.err.startswith("Traceback (most recent call last):\n")
    assert shown.err.endswith(plain.err)


def test_lazy_layers_get_their_shapes_and_equal_seeds_equal_weights(workplace: Path) -> None:
    line = f"threads=1 device=cpu steps=1 {chosen('model', 'Lazy')} model.init=kaiming"
    for name in ("one", "two"):
        assert call(f"train {line} hydra.run.dir={name}").code == 0
    states = [torch.load(path, weights_only=True) for path in workplace.rglob("state.pt")]
    weights = [state["players"]["model"]["module"] for state in states]
    assert weights[0]["net.4.weight"].shape == (10, 2 * 6 * 6)
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])


def test_looking_whether_it_fits_changes_nothing(workplace: Path) -> None:
    line = "steps=2 eval.every=0 dataset.val_fraction=0 hydra.run.dir=run"
    answer = call(f"train threads=1 device=cpu {chosen('model', 'Linear')} {line}")
    assert answer.code == 0, answer.err
    state = final_state(RunDir(workplace / "run"))["state.pt"]
    assert state["players"]["model"]["module"]["calls"] == 2


OPTIMIZERS = """
import torch

class NoSuper(torch.optim.Optimizer):
    def __init__(self, params, lr=0.1):
        self.lr = lr

class Broken(torch.optim.Optimizer):
    def __init__(self, params, lr=0.1):
        super().__init__(params, {"lr": lr})

    def step(self, closure=None):
        raise KeyError("mine")
"""


@pytest.mark.parametrize("verb", ["train", "find-lr", "check", "train -m seed=0,1"])
def test_an_own_optimizer_that_is_not_begun_is_told(verb: str, workplace: Path) -> None:
    Path("own_optimizers.py").write_text(OPTIMIZERS, encoding="utf-8")
    answer = call(f"{verb} optimizer=custom optimizer._target_=own_optimizers.NoSuper steps=2")
    assert answer.code == 2 and answer.err.count("\n") == 1
    assert "has no param_groups; its __init__ has to call super().__init__(" in answer.err


def test_an_own_optimizer_that_fails_later_is_told_with_its_place(workplace: Path) -> None:
    Path("own_optimizers.py").write_text(OPTIMIZERS, encoding="utf-8")
    own = "optimizer=custom optimizer._target_=own_optimizers.Broken device=cpu threads=1"
    answer = call(f"find-lr {own} --steps 10 --seeds 1")
    assert answer.code == 1
    last = answer.err.splitlines()[-1]
    assert (
        last.startswith("optbench: find-lr: KeyError: 'mine' (") and "own_optimizers.py:1" in last
    )
    assert "optbench/" not in answer.err.replace(last, "")
    answer = call(f"check {own} checks=[overfit]")
    assert answer.code == 1 and "code of your own fails: KeyError: 'mine'" in answer.out
