"""A run starts from the weights that it is given, and what is frozen stays so."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from cli.program import assert_same_bits, call, final_state, left_in, train

import optbench
from optbench.rundir import RunDir
from optbench.runs.export import weights_of
from optbench.runs.read import Run

LINE = "steps=6 eval.every=3 checkpoint.every=3 optimizer.lr=0.01 ema=0.5 model.batch_norm=true"
SAME = "model.batch_norm=true optimizer=sgd optimizer.lr=0.1 seed=5"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    return train(LINE, tmp_path_factory.mktemp("start") / "run")


@pytest.fixture(autouse=True)
def source(original: RunDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunDir:
    place = tmp_path / "runs"
    place.mkdir()
    monkeypatch.chdir(place)
    return RunDir(Path(shutil.copytree(original.path, place / "first")))


def after(line: str, folder: str = "second") -> dict[str, Any]:
    """What a run's model has in the end."""
    players: dict[str, Any] = final_state(train(line, Path(folder).absolute()))["state.pt"]
    state: dict[str, Any] = players["players"]["model"]
    return state


@pytest.mark.parametrize("at", ["best", "last", "3"])
def test_of_a_run_it_is_what_was_scored(source: RunDir, at: str) -> None:
    run = Run(source.path)
    step = {"best": run.checkpoints.best, "last": 6, "3": 3}[at]
    assert step is not None
    found = after(f"weights=first weights.at={at} {SAME} steps=1 optimizer.lr=0")
    start = weights_of(source, step).state
    for name in ("blocks.0.0.weight", "head.weight", "head.bias"):
        assert torch.equal(found["module"][name], start[name])
    assert Run(Path("second")).config["weights"]["path"] == str(source.path)


@pytest.mark.parametrize("name", ["plain.pt", "plain.safetensors"])
def test_an_exported_file_starts_a_run_as_its_run_does(name: str, source: RunDir) -> None:
    if name.endswith(".safetensors"):
        pytest.importorskip("safetensors")
    assert call(f"export first -o {name} --at last").code == 0
    found = after(f"weights={name} {SAME} steps=3")
    assert_same_bits(found, after(f"weights=first weights.at=last {SAME} steps=3", "third"))


def test_the_first_scores_are_those_of_the_weights(source: RunDir) -> None:
    train(f"weights=first weights.at=last {SAME} steps=1 optimizer.lr=0", Path("second").absolute())
    given, tuned = Run(source.path).summary["final"], Run(Path("second")).summary["final"]
    # Its batch norms have seen one more batch.
    assert tuned["test/loss"] == pytest.approx(given["test/loss"], rel=0.1)


def test_what_is_excluded_keeps_its_own_draw(source: RunDir) -> None:
    still = f"{SAME} steps=1 optimizer.lr=0"
    own = after(still, "own")["module"]
    found = after(f"weights=first 'weights.exclude=[head.*]' {still}")["module"]
    start = weights_of(source, 6).state
    assert torch.equal(found["head.weight"], own["head.weight"])
    assert not torch.equal(found["head.weight"], start["head.weight"])
    assert not torch.equal(found["blocks.0.0.weight"], own["blocks.0.0.weight"])


def test_another_head_takes_the_rest(source: RunDir) -> None:
    line = "dataset=synthetic dataset.shape=[1,8,8] dataset.num_classes=3 dataset.train_size=40"
    line += f" dataset.test_size=8 batch_size=8 {SAME} steps=1 optimizer.lr=0"
    found = after(f"weights=first weights.at=last 'weights.exclude=[head.*]' {line}")["module"]
    start = weights_of(source, 6).state
    assert torch.equal(found["blocks.0.0.weight"], start["blocks.0.0.weight"])
    assert found["head.weight"].shape == (3, 8)


def test_not_strict_takes_what_there_is(source: RunDir) -> None:
    torch.save({"head.bias": torch.arange(10.0), "other": torch.ones(1)}, "some.pt")
    line = f"weights=some.pt weights.strict=false {SAME} steps=1 optimizer.lr=0"
    assert torch.equal(after(line)["module"]["head.bias"], torch.arange(10.0))


def test_a_resumed_run_does_not_ask_for_them_again(source: RunDir) -> None:
    line = f"weights=first {SAME} steps=4 'freeze=[blocks.*]' ema=0.5"
    whole = after(line)
    train(f"{line.replace('steps=4', 'steps=2')}", Path("third").absolute())
    shutil.rmtree(source.path)
    assert optbench.resume("third", "steps=4").step == 4
    assert_same_bits(final_state(RunDir(Path("third")))["state.pt"]["players"]["model"], whole)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "muon", "lbfgs", "lion"])
def test_what_is_frozen_stays_and_no_optimizer_has_it(optimizer: str) -> None:
    line = f"optimizer={optimizer} optimizer.lr=0.1 steps=3 ema=0.5 model.hidden=[8,8]"
    line += " 'freeze=[blocks.0.*]' monitor.every=1"
    found = after(f"{line} optimizer.lr=0.1")
    drawn = after(f"{line} optimizer.lr=0", "still")
    for name in ("blocks.0.0.weight", "blocks.0.0.bias"):
        assert torch.equal(found["module"][name], drawn["module"][name])
        assert torch.equal(found["averaged"][name], drawn["module"][name])
    assert not torch.equal(found["module"]["head.weight"], drawn["module"]["head.weight"])
    records = list(Run(Path("second")).records())
    tags = {tag for record in records for tag in record}
    assert "grad_norm/head.weight" in tags and "grad_norm/blocks.0.0.weight" not in tags
    assert Run(Path("second")).summary["parameters"] == 8 * 8 + 8 + 8 * 10 + 10


def test_of_two_players_one_is_started_and_another_frozen_in_part() -> None:
    line = "model=dcgan dataset=synthetic dataset.shape=[1,28,28] dataset.train_size=8"
    line += " dataset.test_size=4 dataset.val_fraction=0 batch_size=4 steps=1 threads=1"
    line += " model.width=2 task.mean=[0] task.std=[1] device=cpu"
    assert call(f"train {line} hydra.run.dir=gan").code == 0
    assert call("export gan -o gan.pt").code == 0
    state = torch.load("gan.pt")
    name = next(n for n in state if n.startswith("generator.") and n.endswith("weight"))
    answer = call(f"train {line} weights=gan.pt freeze=[{name}] seed=4 hydra.run.dir=again")
    assert answer.code == 0, answer.err
    assert torch.equal(weights_of(RunDir(Path("again")), 1).state[name], state[name])


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("weights=nowhere", "nowhere: no such run or file"),
        ("weights=oddd.pt", "no such run or file; did you mean {here}/odd.pt?"),
        ("weights=frist", "no such run or file; did you mean {here}/first?"),
        ("weights=first/config.yaml", "expected a file that ends in .safetensors, .pt or .pth"),
        ("weights=first weights.at=4", "no checkpoint of step 4; there are 3, 6"),
        ("weights=first weights.at=newest", "weights.at=newest: expected best, last or a step"),
        ("weights=first", "it has no blocks.1.0.weight (and 6 more); weights.strict=false"),
        ("weights=odd.pt model.hidden=[8]", "it has no head.weight; heads.weight is there"),
        ("weights=more.pt model.hidden=[8]", "extra is not in the model"),
        ("weights=first model.hidden=[9] model.batch_norm=true", "[8, 64] there and [9, 64] in"),
        ("weights=none.pt weights.strict=false", "nothing in it is of this model"),
        ("weights=first weights.exclude=[haed.*]", "weights.exclude: haed.* matches nothing"),
        ("weights=code.pt", "it holds more than tensors"),
        ("freeze=[head.wight]", "freeze: head.wight matches nothing; did you mean head.weight?"),
        ("freeze=[*]", "nothing is left to train"),
        ("freeze=head", "freeze=head: not valid; expected a list of patterns"),
    ],
)
def test_what_does_not_fit_is_one_line(line: str, why: str) -> None:
    torch.manual_seed(0)
    fitting = torch.nn.Sequential()
    fitting.add_module("blocks", torch.nn.Sequential(torch.nn.Sequential(torch.nn.Linear(64, 8))))
    fitting.add_module("head", torch.nn.Linear(8, 10))
    state = dict(fitting.state_dict())
    torch.save({**state, "extra": torch.ones(1)}, "more.pt")
    torch.save({"none": torch.ones(1)}, "none.pt")
    torch.save({"a": Path()}, "code.pt")
    odd = {n.replace("head.weight", "heads.weight"): value for n, value in state.items()}
    torch.save(odd, "odd.pt")
    before = left_in(Path.cwd())
    hidden = "" if "hidden" in line else "model.hidden=[8,8] model.batch_norm=true"
    answer = call(f"train threads=1 device=cpu steps=1 {hidden} {line} hydra.run.dir=new")
    assert answer.code == 2 and why.format(here=Path.cwd()) in answer.err, answer.err
    assert answer.err.count("\n") == 1 and left_in(Path.cwd()) == before


def test_neither_changes_when_a_run_is_resumed() -> None:
    fixed = "can't change when a run is resumed"
    said = {
        "freeze=[head.*]": fixed,
        "weights=first": fixed,
        "weights.at=last": "of which weights?",
    }
    for change, why in said.items():
        answer = call(f"resume first {change} steps=9")
        assert answer.code == 2 and why in answer.err


def counted(line: str) -> str:
    answer = call(f"train threads=1 device=cpu steps=1 {line} hydra.run.dir=new")
    assert answer.code == 2 and " tensors fit" in answer.err, answer.err
    return answer.err


def test_weights_of_another_model_are_counted_and_no_way_around_is_offered() -> None:
    torch.save({"head.bias": torch.zeros(10), "other.weight": torch.ones(3, 3)}, "other.pt")
    said = counted("weights=other.pt model.hidden=[8,8]")
    assert "other.pt: 1 of the model's 6 tensors fits; it has no blocks.0.0.weight" in said
    assert said.rstrip().endswith("is it of another model?") and "strict" not in said
    wide = counted("weights=first model.hidden=[9] model.batch_norm=true")
    assert "first: 2 of the model's 9 tensors fit; " in wide and "exclude" not in wide


def test_a_way_around_names_all_that_has_to_be_said() -> None:
    state = torch.nn.Linear(8, 10).state_dict()
    given = {f"head.{name}": value for name, value in state.items()}
    own = {"blocks.0.0.weight": torch.zeros(8, 64), "blocks.0.0.bias": torch.zeros(7)}
    torch.save({**given, **own, "extra": torch.ones(1)}, "most.pt")
    said = counted("weights=most.pt model.hidden=[8]")
    assert "3 of the model's 4 tensors fit; extra is not in the model" in said
    mend = "weights.strict=false 'weights.exclude=[blocks.0.0.bias]'"
    assert f"; {mend} takes the rest" in said
    line = f"train threads=1 device=cpu steps=1 weights=most.pt model.hidden=[8] {mend}"
    assert call(line).code == 0


def test_a_run_that_starts_with_little_of_what_it_was_given_is_warned() -> None:
    torch.save({"head.bias": torch.zeros(10), "other": torch.ones(1)}, "little.pt")
    line = "train threads=1 device=cpu steps=1 weights=little.pt weights.strict=false"
    answer = call(f"{line} model.hidden=[8]")
    warned = "little.pt: 1 of the model's 4 tensors comes from it; the others are as drawn"
    assert answer.code == 0 and "warning: " in answer.err and warned in answer.err
    half = call(f"{line} 'weights.exclude=[other]' model=logistic")
    assert half.code == 0 and "warning" not in half.err
