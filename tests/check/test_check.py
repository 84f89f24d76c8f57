"""The verb `check`: what is asked, what is said, what is left behind."""

from __future__ import annotations

import contextlib
import io
import json
import shlex
from pathlib import Path

import pytest
import torch
from PIL import Image

import optbench
from optbench.cli.main import main

from .conftest import Checks
from .faults import data

SMALL = "device=cpu threads=1 model.hidden=[8]"


def call(line: str) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(shlex.split(line))
    return code, out.getvalue(), err.getvalue()


def test_what_is_in_order_ends_with_0_and_leaves_nothing(workplace: Path) -> None:
    code, out, err = call(f"check {SMALL} checks=[data,wiring]")
    assert (code, err) == (0, "")
    assert out.startswith("pass    data  ") and "\npass    wiring  " in out
    assert "digits-mlp-adamw: 2 passed" in out
    assert list(workplace.iterdir()) == []


def test_what_fails_ends_with_1_evidence_and_a_remedy(workplace: Path) -> None:
    code, out, _ = call(f"check {SMALL} checks=[wiring] clip.norm=1e-6")
    assert code == 1
    assert "fail" in out and "evidence" in out and "remedy clip.norm=" in out
    assert list(workplace.iterdir()) == []


def test_json_is_one_object(workplace: Path) -> None:
    code, out, _ = call(f"check --json {SMALL} checks=[wiring] clip.norm=1e-6")
    said = json.loads(out)
    assert code == 1 and said["passed"] is False and said["counts"]["fail"] == 1
    (line,) = said["lines"]
    assert line["check"] == "wiring" and line["remedy"].startswith("clip.norm=")
    assert line["numbers"]["left"] < 1e-3


def test_pictures_come_where_they_are_asked_for(workplace: Path) -> None:
    words = "dataset=synthetic 'dataset.shape=[3,8,8]' dataset.train_size=200 dataset.flip=true"
    line = f"check {SMALL} {words} dataset.test_size=100 checks=[data,initialisation] seconds=5"
    call(f"{line} --out pictures")
    found = sorted(path.name for path in (workplace / "pictures").iterdir())
    assert found == ["activations.png", "augmented.png"]
    with Image.open(workplace / "pictures" / "augmented.png") as picture:
        assert picture.size == (800, 800)


def test_from_python(workplace: Path) -> None:
    before = torch.get_rng_state()
    found = optbench.check(*SMALL.split(), "skip=[lr,overfit,determinism,memory,speed]")
    assert found.passed and [line.check for line in found.lines] == [
        *("data", "wiring", "gradients", "initialisation")
    ]
    assert torch.equal(before, torch.get_rng_state())
    assert list(workplace.iterdir()) == []


def test_a_check_of_ones_own(checks: Checks) -> None:
    found = checks("model.hidden=[8]", "checks=[wiring,{_target_: own_checks.Size, most: 10}]")
    assert [line.status for line in found.lines] == ["pass", "fail"]
    assert found.failures[0].finding.what == "610 parameters"
    assert checks("checks=[own_checks.Size]", "model.hidden=[]").failures
    found = checks("checks=[own_checks.NotHere,own_checks.Broken]")
    none, broken = [(line.status, line.finding.what) for line in found.lines]
    assert none == ("skipped", "no reason") and broken[0] == "fail"
    assert broken[1].startswith("your own check fails: ValueError: mine (")
    assert "own_checks.py:" in broken[1]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("checks=[dta]", "checks=dta: no such check; did you mean data?"),
        ("skip=[learning]", "skip=learning: no such check"),
        ("checks=[data] skip=[data]", "skip=[data]: no check is left"),
        ("checks=[nowhere.Check]", "checks._target_=nowhere.Check: no such class or function"),
        ("checks=[own_checks.NoCheck]", "gives an object of NoCheck without run(setup)"),
        ("'checks=[{most: 1}]'", "expected names, or {_target_: my.module.Check}"),
        ("seconds=0", "seconds=0: not valid; expected a number above 0"),
        ("seconds=soon", "seconds=soon: not valid; expected a number above 0"),
        ("check=[data]", "check=[data]: no such key; did you mean checks=[data]?"),
        ("optimizer.lrr=1", "optimizer.lrr"),
        ("resume=RUN", "resume"),
        ("--jason", "--jason: no such flag; did you mean --json?"),
        ("--only=data", "--only: no such flag; did you mean checks=[data]?"),
        ("--out", "--out: it wants a value"),
        ("-m seed=0,1", "-m: not with check"),
        ("batch_size=100000", "batch_size=100000: larger than the training set"),
    ],
)
def test_bad_input_is_one_line(line: str, said: str, workplace: Path) -> None:
    code, out, err = call(f"check {line}")
    assert code == 2 and out == "" and said in err and err.count("\n") == 1, err
    assert list(workplace.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Unreadable", "example 57 of train can't be read: KeyError: 'no file of it'"),
        ("OfAnotherShape", "of OfAnotherShape do not make a batch: stack expects"),
    ],
)
def test_examples_that_can_not_be_read_fail(name: str, said: str, checks: Checks) -> None:
    line = shlex.split(data(name))
    (found,) = checks(*line, "dataset.val_fraction=0", "checks=[data]").lines
    assert (found.check, found.finding.status) == ("data", "fail")
    assert said in found.finding.what


def test_a_run_of_two_players(checks: Checks) -> None:
    """No loss of theirs falls to 0, so that some checks are left out, each with its reason."""
    small = ["task=adversarial", "dataset=digits", "model.width=2", "batch_size=8"]
    found = checks(*small, "checks=[wiring,gradients,overfit,lr,initialisation]")
    assert found.passed
    reasons = {line.check: line.finding.what for line in found.skipped}
    assert set(reasons) == {"overfit", "lr", "initialisation"}
    assert "play against each other" in reasons["lr"]


def test_a_test_function_has_no_examples(checks: Checks) -> None:
    found = checks("model=rosenbrock", "checks=[data,gradients,overfit,determinism]", "steps=10")
    assert {line.check: line.status for line in found.lines} == {
        "data": "skipped",
        "gradients": "pass",
        "overfit": "skipped",
        "determinism": "pass",
    }


def test_what_asks_for_no_gradients(checks: Checks) -> None:
    found = checks("model=onemax", "optimizer=ga", "checks=[gradients,lr]", "steps=10")
    said = [line.finding.what for line in found.skipped]
    assert said == ["the optimizer asks for no gradients", "GA has no learning rate"]


@pytest.mark.parametrize("line", ["precision=fp16", "optimizer=newton", "wrapper=sam"])
def test_gradients_are_looked_at_in_float64_whatever_the_run_is_in(
    line: str, checks: Checks
) -> None:
    found = checks(line, "model.hidden=[8]", "checks=[gradients,wiring]")
    assert found.passed and not found.skipped, found.lines


def test_a_recurrent_model_that_carries_its_state(checks: Checks, workplace: Path) -> None:
    (workplace / "text.txt").write_text("to be or not to be " * 200, encoding="utf-8")
    words = ["dataset=text", "dataset.path=text.txt", "dataset.context=8", "model=lstm"]
    words += ["model.width=8", "task.carry=true", "batch_size=4", "dataset.val_fraction=0"]
    found = checks(*words, "checks=[gradients,wiring,overfit]")
    assert {line.check: line.status for line in found.lines} == {
        "gradients": "pass",
        "wiring": "pass",
        "overfit": "skipped",
    }


def test_a_learning_rate_is_not_blamed_for_what_is_not_finite_without_it(checks: Checks) -> None:
    high = checks("model.hidden=[8]", "checks=[lr]", "optimizer.lr=1e30").lines[0]
    assert (high.status, high.finding.cause) == ("fail", "the learning rate is far too high")
    other = checks("model=custom", "model._target_=planted.WithoutSlope", "checks=[lr]").lines[0]
    assert other.status == "warn" and "learning rate is far too high" not in other.finding.cause
