"""dataset=custom, model=custom, task=custom, and a loss by its class, on the command line."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import torch
import yaml

from optbench.config.paths import with_absolute_paths
from optbench.rundir import RunDir

from .program import assert_same_bits, call, final_state, records

PARTS = """
import random
import numpy as np
import torch
from torch import nn
from torch.utils.data import Dataset, IterableDataset, TensorDataset
from optbench.tasks.base import Task

class Numbers(Dataset):
    def __init__(self, size=30, train=True, scale=1.0):
        self.x, self.train, self.scale = torch.randn(size, 5), train, scale

    def __len__(self):
        return len(self.x)

    def __getitem__(self, index):
        x = self.x[index]
        noise = torch.randn(5) + random.random() + np.random.rand()
        return x + 0.1 * noise if self.train else x, self.scale * float(x.sum())

class Named(Numbers):
    def __getitem__(self, index):
        x, y = super().__getitem__(index)
        return {"of": (x, index), "target": y, "name": f"example {index}"}

class Streaming(IterableDataset):
    def __iter__(self):
        return iter([1])

class NoItem(Dataset):
    def __len__(self):
        return 3

class Unknown(Numbers):
    def __getitem__(self, index):
        return self.x[index], index % 2

def labelled(size=20):
    return TensorDataset(torch.randn(size, 5), torch.arange(size) % 3)

class Net(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.net = nn.Sequential(nn.LazyLinear(width), nn.Dropout(0.2), nn.LazyLinear(1))

    def forward(self, x):
        return self.net(x)

class OfNames(Task):
    def __init__(self, power=2):
        self.power = power

    def predict(self, modules, batch, player):
        return modules[player](batch["of"][0])[:, 0]

    def criterion(self, outputs, batch):
        return (outputs - batch["target"].float()).abs().pow(self.power).mean()

    def score(self, modules, batch):
        outputs = self.predict(modules, batch, "model")
        return {"loss": self.criterion(outputs, batch) * len(outputs)}
"""

SMALL = "threads=1 device=cpu batch_size=8"
NUMBERS = "task=regression dataset=custom dataset._target_=own_parts.Numbers"
NET = "model=custom model._target_=own_parts.Net"
NAMES = (
    "task=custom task._target_=own_parts.OfNames dataset=custom dataset._target_=own_parts.Named"
)
LOSS = "task.loss._target_=torch.nn.HuberLoss 'task.loss.arguments={delta: 0.5}'"


@pytest.fixture(autouse=True)
def parts(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (workplace / "own_parts.py").write_text(PARTS, encoding="utf-8")
    monkeypatch.delitem(sys.modules, "own_parts", raising=False)
    monkeypatch.syspath_prepend(str(workplace))


def train(line: str, name: str) -> RunDir:
    answer = call(f"train {SMALL} {line} hydra.run.dir={name}")
    assert answer.code == 0, answer.err
    return RunDir(Path(name))


@pytest.mark.parametrize("line", [f"{NUMBERS} {NET} {LOSS}", f"{NAMES} {NET} dataset.workers=1"])
def test_a_run_that_goes_on_is_the_run_that_was_not_interrupted(line: str) -> None:
    whole = train(f"{line} steps=9 checkpoint=final eval.every=2", "whole")
    train(f"{line} steps=5 checkpoint=final eval.every=2", "parts")
    answer = call("resume parts steps=9")
    assert answer.code == 0, answer.err
    assert_same_bits(final_state(RunDir(Path("parts"))), final_state(whole))


def test_workers_change_no_bit() -> None:
    none = train(f"{NUMBERS} {NET} steps=5", "none")
    two = train(f"{NUMBERS} {NET} steps=5 dataset.workers=2 dataset.prefetch=1", "two")
    assert_same_bits(final_state(none), final_state(two))


def test_splits_have_arguments_of_their_own() -> None:
    splits = (
        "'dataset.arguments={size: 40}' 'dataset.train={train: true}' "
        "'dataset.val={train: false, size: 7}' 'dataset.test={train: false, scale: 0}'"
    )
    run = train(f"{NUMBERS} {NET} {splits} steps=1 optimizer.lr=0", "run")
    data = run.read_json("env.json")["data"]
    assert (data["train_size"], data["val_size"], data["test_size"]) == (40, 7, 40)
    assert (data["input_shape"], data["num_classes"]) == ([5], 1)
    assert len(records(run, "val")) == len(records(run, "test")) == 1
    assert records(run, "test")[0]["test/loss"] < records(run, "val")[0]["val/loss"]


def test_a_function_that_gives_a_data_set_will_do_for_our_models() -> None:
    line = "dataset=custom dataset._target_=own_parts.labelled 'dataset.arguments={size: 24}'"
    run = train(f"{line} model.hidden=[4] steps=2 dataset.val_fraction=0.25", "run")
    assert run.read_json("env.json")["data"]["num_classes"] == 3


def test_the_chosen_loss_is_what_is_scored() -> None:
    plain = train(f"{NUMBERS} {NET} steps=1 optimizer.lr=0", "plain")
    scaled = train(
        f"{NUMBERS} {NET} steps=1 optimizer.lr=0 task.loss._target_=torch.nn.SmoothL1Loss "
        "'task.loss.arguments={beta: 100}'",
        "scaled",
    )
    squared, smooth = (records(run, "val")[0]["val/loss"] for run in (plain, scaled))
    assert smooth == pytest.approx(squared / 200, rel=1e-5)


REFUSED = [
    (f"{NET} dataset=custom", "dataset._target_=null: which class?"),
    (f"{NET} dataset=custom dataset._target_=own_parts.Streaming", "Streaming has no __len__"),
    (f"{NET} dataset=custom dataset._target_=own_parts.NoItem", "NoItem has no __getitem__"),
    (f"{NET} dataset=custom dataset._target_=os.getcwd", "str has no examples by number"),
    (f"{NUMBERS}s {NET}", "own_parts.py) has no Numberss; did you mean Numbers?"),
    (f"{NET} dataset=custom dataset._target_=own_part.X", "no module own_part in the current fol"),
    (f"{NUMBERS} {NET} 'dataset.arguments={{sice: 3}}'", "sice: no argument of"),
    (f"{NUMBERS} {NET} dataset.arguments=3", "dataset.arguments=3: expected a mapping"),
    (f"{NUMBERS} {NET} dataset.prefetch=0", "dataset.prefetch=0: must be at least 1"),
    (f"{NUMBERS} model=custom", "model._target_=null: which class?"),
    (f"{NUMBERS} task=custom {NET}", "task._target_=null: which class?"),
    (
        f"{NUMBERS} {NET} 'model.arguments={{wide: 3}}'",
        "wide: no argument of Net; did you mean width?",
    ),
    (f"{NUMBERS} {NET} task.loss._target_=torch.nn.Huber", "has no Huber; did you mean HuberLoss"),
    (f"{NUMBERS} {NET} 'task.loss.arguments={{delta: 1}}'", "set task.loss._target_"),
    (
        "dataset=custom dataset._target_=own_parts.Unknown model=logistic",
        "dataset.num_classes=null: how many?",
    ),
    (
        "model=logistic label_smoothing=0.1 task.loss._target_=torch.nn.NLLLoss",
        "label_smoothing=0.1: not with task.loss",
    ),
]


@pytest.mark.parametrize(("line", "said"), REFUSED)
def test_what_can_not_be_used_is_told_in_one_line(line: str, said: str) -> None:
    answer = call(f"train {SMALL} steps=2 {line}")
    assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1)
    assert said in answer.err
    assert set(os.listdir()) <= {"own_parts.py", "__pycache__"}


def test_data_that_has_changed_is_refused_on_resume() -> None:
    run = train(f"{NUMBERS} {NET} steps=2", "run")
    path = Path("own_parts.py")
    path.write_text(PARTS.replace("torch.randn(size, 5)", "torch.rand(size, 5)"), encoding="utf-8")
    del sys.modules["own_parts"]
    answer = call(f"resume {run.path} steps=4")
    assert answer.code == 2 and "not the data that the run began with" in answer.err


def test_data_that_has_moved_is_found_by_its_new_arguments(workplace: Path) -> None:
    source = PARTS + (
        "\nclass Filed(Numbers):\n"
        "    def __init__(self, root):\n"
        "        self.x, self.train, self.scale = torch.load(root), False, 1.0\n"
    )
    Path("own_parts.py").write_text(source, encoding="utf-8")
    torch.save(torch.randn(20, 5), "here.pt")
    line = "task=regression dataset=custom dataset._target_=own_parts.Filed"
    run = train(f"{line} {NET} 'dataset.arguments={{root: here.pt}}' steps=2", "run")
    saved = yaml.safe_load(run.config.read_text(encoding="utf-8"))
    assert saved["dataset"]["arguments"] == {"root": str(workplace / "here.pt")}
    Path("here.pt").rename("there.pt")
    answer = call("resume run steps=4 'dataset.arguments={root: there.pt}'")
    assert answer.code == 0, answer.err
    torch.save(torch.randn(20, 5), "other.pt")
    other = call("resume run steps=6 'dataset.arguments={root: other.pt}'")
    assert other.code == 2 and "not the data that the run began with" in other.err


def test_a_name_of_no_file_stays_as_it_is() -> None:
    assert with_absolute_paths(
        {"data_root": "/data", "dataset": {"arguments": {"path": "squad"}, "train": None}}
    )["dataset"] == {"arguments": {"path": "squad"}, "train": None}


@pytest.mark.parametrize(
    ("fraction", "said"),
    [
        ("0.1", "of 3 this is less than one example; dataset.val_fraction=0.33 is one, 0 none"),
        ("0.9", "of 3 this leaves no example to train on; dataset.val_fraction=0.5 leaves some"),
    ],
)
def test_a_fraction_that_is_nothing_is_told_with_one_that_is_not(fraction: str, said: str) -> None:
    small = "threads=1 device=cpu steps=1 batch_size=1"
    line = f"train {small} {NUMBERS} {NET} 'dataset.arguments={{size: 3}}'"
    answer = call(f"{line} dataset.val_fraction={fraction}")
    assert answer.code == 2 and said in answer.err
    fitting = said.partition("val_fraction=")[2].split()[0]
    assert call(f"{line} dataset.val_fraction={fitting}").code == 0


def test_a_text_where_a_number_is_meant_is_named() -> None:
    answer = call(f"train {SMALL} {NUMBERS} {NET} steps=1 'dataset.arguments={{size: ten}}'")
    assert answer.code == 1 and "Traceback" in answer.err
    assert answer.err.endswith('(size is the text "ten")\n')


@pytest.mark.parametrize("verb", ["evaluate", "export"])
def test_other_verbs_build_it_again(verb: str) -> None:
    train(f"{NUMBERS} {NET} {LOSS} steps=2", "run")
    answer = call(f"{verb} run" + (" -o model.pt" if verb == "export" else ""))
    assert answer.code == 0, answer.err


def test_numbers_are_no_labels(workplace: Path) -> None:
    """torch takes them for probabilities of classes, and of one class the loss is 0."""
    (workplace / "numbers_.py").write_text(
        "import torch\n"
        "class Numbers(torch.utils.data.Dataset):\n"
        "    def __len__(self):\n"
        "        return 40\n"
        "    def __getitem__(self, number):\n"
        "        return torch.ones(6), torch.ones(1)\n",
        encoding="utf-8",
    )
    line = "train threads=1 steps=2 batch_size=10 dataset=custom dataset._target_=numbers_.Numbers"
    answer = call(line)
    assert answer.code == 2 and "not whole numbers; task=regression" in answer.err
    assert call(f"{line} task=regression model=mlp").code == 0
