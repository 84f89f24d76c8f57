"""Model, data set, task and loss that don't go together: one line says which is at fault."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import pytest
import yaml

from optbench.assemble.blame import OF_TOKENS
from optbench.rundir import RunDir

from .program import call

PARTS = """
import torch
from torch import nn

def cut(outputs, targets):
    return nn.functional.cross_entropy(outputs, targets).detach()

class Cut(nn.Linear):
    def __init__(self):
        super().__init__(6, 3)

    def forward(self, x):
        return super().forward(x).detach()

def one(outputs):
    return outputs.sum()

class Examples(torch.utils.data.Dataset):
    num_classes = 3

    def __init__(self, kind):
        self.kind = kind

    def __len__(self):
        return 40

    def __getitem__(self, number):
        if self.kind == "broken":
            return [].nothing
        x = torch.ones(6)
        return {
            "one": (x, 1),
            "text": (x, "cat"),
            "lone": x,
            "mapping": {"x": x, "y": 1},
            "negative": (x, -1),
            "high": (x, 3),
            "nested": ((x, x), 1),
            "three": (x, 1, 2),
            "late": (x, 3 if number == 30 else 1),
        }[self.kind]

class Unknown(Examples):
    num_classes = None

class Tokens(torch.utils.data.Dataset):
    num_classes = 5

    def __len__(self):
        return 40

    def __getitem__(self, number):
        tokens = torch.arange(4) + (3 if number == 30 else 0)
        return tokens, tokens

class Tired(nn.Linear):
    def __init__(self):
        super().__init__(6, 3)

    def forward(self, x):
        if self.training:
            raise IndexError("tired")
        return super().forward(x)

class Sum(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 3)

    def forward(self, pair):
        return self.layer(pair[0] + pair[1])
"""

OWN = "dataset=custom dataset._target_=fit_parts.Examples batch_size=8"
LABELS = "task=classification wants (inputs, label), the label a whole number from 0 to 2"
CALLED = "(it is called with (outputs, targets): float32 [2, 10] and int64 [2])"


@pytest.fixture(autouse=True)
def parts(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (workplace / "fit_parts.py").write_text(PARTS, encoding="utf-8")
    monkeypatch.delitem(sys.modules, "fit_parts", raising=False)
    monkeypatch.syspath_prepend(str(workplace))


def refused(line: str) -> str:
    answer = call(f"train threads=1 device=cpu steps=1 {line} hydra.run.dir=new")
    assert answer.code == 2 and answer.err.count("\n") == 1, answer.err
    assert not Path("new").exists()
    return answer.err.removeprefix("optbench: ").rstrip("\n")


@pytest.mark.parametrize(
    ("kind", "example", "more"),
    [
        ("text", "(float32 [6], text)", ""),
        ("lone", "float32 [6]", ""),
        ("mapping", "{x: float32 [6], y: int64}", ""),
        ("three", "(float32 [6], int64, int64)", ""),
        ("negative", "(float32 [6], int64)", "; there is a label -1"),
        ("high", "(float32 [6], int64)", "; there is a label 3"),
    ],
)
def test_examples_of_a_wrong_shape_are_described(kind: str, example: str, more: str) -> None:
    said = refused(f"{OWN} 'dataset.arguments={{kind: {kind}}}' model=mlp")
    assert said == f"dataset._target_=fit_parts.Examples: an example is {example}; {LABELS}{more}"


def test_other_tasks_say_what_they_want() -> None:
    text = f"{OWN} 'dataset.arguments={{kind: text}}'"
    assert refused(f"{text} model=mlp task=regression").endswith(
        "task=regression wants (inputs, targets), targets a tensor or a number"
    )
    wants = "wants (tokens, the tokens that come next), two sequences of whole numbers"
    assert wants in refused(f"{text} model=gpt")


def test_inputs_of_a_model_of_its_own_may_be_anything() -> None:
    line = f"{OWN} 'dataset.arguments={{kind: nested}}'"
    own = "model=custom model._target_=fit_parts.Sum"
    assert call(f"train threads=1 device=cpu steps=1 {line} {own}").code == 0
    said = refused(f"{line} model=mlp")
    assert said.startswith("model=mlp: does not fit dataset._target_=fit_parts.Examples and ")
    assert said.endswith("(an example is ((float32 [6], float32 [6]), int64))")


def test_an_example_that_fails_is_the_data_sets() -> None:
    answer = call(f"train threads=1 steps=1 {OWN} 'dataset.arguments={{kind: broken}}' model=mlp")
    assert answer.code == 1 and "optbench: dataset: AttributeError" in answer.err


DATA = "dataset._target_=fit_parts.Examples"
LATE = f"{DATA}: an example is (float32 [6], int64); {LABELS}; there is a label 3"
LINEAR = (
    "model=custom model._target_=torch.nn.Linear "
    "'model.arguments={in_features: 6, out_features: 3}'"
)


@pytest.mark.parametrize("verb", ["train", "train -m seed=1,2", "find-lr --steps 30"])
@pytest.mark.parametrize("choices", ["", "wrapper=sam"])
def test_what_comes_later_is_explained_as_at_the_beginning(verb: str, choices: str) -> None:
    line = f"threads=1 device=cpu dataset=custom {DATA} 'dataset.arguments={{kind: late}}'"
    line += f" model=mlp batch_size=4 dataset.val_fraction=0 {choices}"
    several = "-m" in verb
    answer = call(f"{verb} {line} hydra.{'sweep' if several else 'run'}.dir=new")
    begun = verb != "find-lr --steps 30"
    assert answer.code == (1 if begun else 2) and "Traceback" not in answer.err
    assert (f"failed: {LATE}" if several else f"optbench: {LATE}\n") in answer.err
    assert Path("new").exists() == begun
    if verb == "train":
        run = RunDir(Path("new"))
        assert (run.state, run.read_status()["message"]) == ("failed", LATE)
    for log in Path("new").rglob("log.txt"):
        assert log.read_text("utf-8").count(LATE) == 1 and "Traceback" not in log.read_text("utf-8")


def test_an_evaluation_explains_it_too() -> None:
    line = f"threads=1 device=cpu dataset=custom {DATA} model=mlp batch_size=4 steps=1"
    answer = call(f"train {line} 'dataset.arguments={{kind: one}}' hydra.run.dir=new")
    assert answer.code == 0, answer.err
    answer = call("evaluate new 'dataset.arguments={kind: one}' 'dataset.test={kind: late}'")
    assert answer.code == 2 and answer.err.endswith(f": {LATE}\n"), answer.err


@pytest.mark.parametrize("loss", ["", "task.loss._target_=torch.nn.CrossEntropyLoss"])
def test_where_nobody_knows_the_classes_the_model_says_how_many_it_has(loss: str) -> None:
    data = "dataset._target_=fit_parts.Unknown"
    line = f"train threads=1 device=cpu dataset=custom {data} batch_size=4 task=classification"
    late = f"{line} {LINEAR} {loss} 'dataset.arguments={{kind: late}}' dataset.val_fraction=0"
    said = "there is a label 3; model._target_=torch.nn.Linear has outputs for 0 to 2"
    for kind, code in (("late", 1), ("high", 2)):  # as the run goes on, and before it is one
        answer = call(late.replace("kind: late", f"kind: {kind}"))
        assert (answer.code, answer.err.splitlines()[-1]) == (code, f"optbench: {data}: {said}")


def test_a_token_beyond_the_vocabulary_is_the_data_sets() -> None:
    data = "dataset._target_=fit_parts.Tokens"
    line = f"train threads=1 device=cpu dataset=custom {data} batch_size=4 dataset.val_fraction=0"
    answer = call(f"{line} model=gru model.width=4 model.layers=1")
    said = f"optbench: {data}: there is a token 6; model=gru knows 0 to 4"
    assert (answer.code, answer.err.splitlines()[-1]) == (1, said)


def test_what_fails_later_for_other_reasons_keeps_its_traceback() -> None:
    line = f"{OWN} 'dataset.arguments={{kind: one}}' model=custom model._target_=fit_parts.Tired"
    answer = call(f"train threads=1 device=cpu {line} hydra.run.dir=new")
    assert answer.code == 1 and "failed: IndexError: tired" in answer.err
    assert "Traceback" in RunDir(Path("new")).log.read_text("utf-8")


@pytest.mark.parametrize(
    ("loss", "why"),
    [
        ("fit_parts.one", "one() takes 1 positional argument but 2 were given"),
        (
            "torch.nn.CrossEntropyLoss 'task.loss.arguments={label_smoothing: 2}'",
            "label_smoothing must be between 0.0 and 1.0. Got: 2",
        ),
        ("torch.nn.MSELoss", "The size of tensor a (10) must match the size of tensor b (2)"),
    ],
)
def test_a_loss_that_does_not_fit_is_named(loss: str, why: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("default")  # torch warns before it fails: that is no line of ours
        said = refused(f"task.loss._target_={loss}")
    assert said.startswith(f"task.loss._target_={loss.split()[0]}: {why}") and CALLED in said


def test_a_loss_without_gradients_is_told_before_the_run() -> None:
    hint = "nothing in it may detach, or leave torch by item() or numpy()"
    without = f"without gradients to train by; {hint}"
    said = refused("task.loss._target_=fit_parts.cut")
    assert said == f"task.loss._target_=fit_parts.cut: gives a loss {without}"
    own = f"{OWN} 'dataset.arguments={{kind: one}}' model=custom"
    said = refused(f"{own} model._target_=fit_parts.Cut")
    assert said == f"model._target_=fit_parts.Cut: gives outputs {without}"
    named = "task=reconstruction task.mean=[0] task.std=[1]"  # whose loss is a word
    said = refused(f"{own} {named} model._target_=fit_parts.Cut")
    assert said.startswith("model._target_=fit_parts.Cut: does not fit")
    losses = "optimizer=es task.loss._target_=fit_parts.cut hydra.run.dir=es"
    answer = call(f"train threads=1 device=cpu steps=1 {losses}")
    assert answer.code == 0, answer.err


def test_whole_numbers_for_a_model_of_floats_name_models_that_take_them() -> None:
    assert refused("dataset=copy model=mlp batch_size=8") == (
        "model=mlp: takes floats, but the inputs of dataset=copy are whole numbers (int64 [40]); "
        "take model=gpt, gru, lstm or rnn"
    )


def test_the_models_of_whole_numbers_are_those_of_language() -> None:
    folder = Path(__file__).parents[2] / "configs" / "model"
    tasks = {f.stem: yaml.safe_load(f.read_text("utf-8")).get("task") for f in folder.glob("*")}
    assert sorted(name for name, task in tasks.items() if task == "language") == list(OF_TOKENS)
