"""What can't be probed: one line, or that instrument left out with its reason; no folder left."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from cli.program import call, left_in, train

import optbench
from optbench.rundir import FORMAT


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "probe: which run? optbench probe RUN"),
        ("instruments=hessian", "probe: which run?"),
        ("yours", "yours: no such run folder"),
        ("mine --at 3", "no checkpoint of step 3; there are 2, 4, 6"),
        ("mine --at 2,3", "no checkpoint of step 3; there are 2, 4, 6"),
        ("mine --at frist", "frist: no checkpoint is called that; expected best, last, all, a"),
        ("mine --at bset", "did you mean best?"),
        ("mine --at 2,lst", "lst: no checkpoint is called that; expected best, last"),
        ("mine --at", "--at: it wants a value"),
        ("mine --jsn", "--jsn: no such flag; did you mean --json?"),
        ("mine hessian", "hessian: expected key=value, such as instruments=[hessian]"),
        ("mine instruments=[hesian]", "no such instrument; did you mean hessian?"),
        ("mine exmples=5", "exmples=5: no such key of probe; did you mean examples?"),
        ("mine hesian.top=5", "no such key of probe; did you mean hessian.top?"),
        ("mine instruments=hessian hessian.tp=5", "hessian.tp: no such setting of hessian; did"),
        ("mine instruments=hessian examples=none", "optbench: examples=none: a whole number"),
        (
            "mine instruments=hessian hessian.top=100000",
            "hessian.top=100000: a whole",
        ),
        ("mine instruments=hessian hessian.bottom=101", "hessian.bottom=101: a whole number, at m"),
        ("mine player=critic", "player=critic: no such player; there is model"),
        ("mine optimizer.lr=1", "optimizer.lr=1: no such key of probe"),
        ("mine device=cuda:7", "device=cuda:7"),
        ("mine precision=half", "precision=half"),
        ("mine --out mine/config.yaml", "out=mine/config.yaml: inside the run's folder"),
    ],
)
def test_bad_words_are_one_line(line: str, said: str, run: Path, workplace: Path) -> None:
    before = left_in(workplace)
    answer = call(f"probe {line}")
    assert answer.code == 2 and answer.out == ""
    assert answer.err.count("\n") == 1 and said in answer.err
    assert left_in(workplace) == before


def test_a_run_without_a_checkpoint(workplace: Path) -> None:
    train(
        "steps=1 checkpoint.every=0 checkpoint.final=false checkpoint.best=null", workplace / "mine"
    )
    for at in ("", "--at all", "--at last"):
        answer = call(f"probe mine {at}")
        assert answer.code == 2 and "it has no checkpoint" in answer.err
        assert answer.err.count("\n") == 1


def test_a_damaged_checkpoint_is_told_of_or_passed_over(run: Path) -> None:
    state = run / "checkpoints/step-00000004/state.pt"
    state.write_bytes(state.read_bytes()[:-9])
    answer = call("probe mine --at 4 instruments=hessian")
    assert answer.code == 2 and "state.pt has" in answer.err and answer.err.count("\n") == 1
    assert optbench.probe(run, "instruments=trace", "examples=20", at="all").steps == [2, 6]


def test_a_checkpoint_that_goes_as_it_is_looked_at_is_told_of(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As those of a run that goes on, which are pruned."""
    from optbench.probe.opened import Opened

    look = Opened.look

    def late(self: Opened, step: int) -> object:
        shutil.rmtree(run / "checkpoints/step-00000004", ignore_errors=True)
        return look(self, step)

    monkeypatch.setattr(Opened, "look", late)
    found = optbench.probe(run, "instruments=trace", "trace.products=4", "examples=20", at="all")
    assert found.steps == [2, 6]
    assert "step-00000004: no such checkpoint (any more)" in found.notes[0]


def test_a_folder_of_a_newer_version(run: Path) -> None:
    path = run / "status.json"
    said = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**said, "format": FORMAT + 1}), encoding="utf-8")
    answer = call("probe mine")
    assert answer.code == 2 and answer.err.count("\n") == 1
    assert "of a later version of optbench, which has to look at it" in answer.err


def test_a_checkpoint_of_another_version(run: Path) -> None:
    from optbench.training.checkpoint import MANIFEST, checksum

    path = run / "checkpoints/step-00000006" / MANIFEST
    said = json.loads(path.read_text(encoding="utf-8")) | {"format": 99}
    path.write_text(json.dumps({**said, "sha256": checksum(said)}), encoding="utf-8")
    answer = call("probe mine --at 6 instruments=hessian")
    assert answer.code == 2 and "of another version of optbench" in answer.err


def test_somebody_elses_run_that_names_a_class_of_his_own(run: Path) -> None:
    path = run / "config.yaml"
    text = path.read_text(encoding="utf-8").replace("optbench.models.mlp.MLP", "evil.Model")
    path.write_text(text, encoding="utf-8")
    answer = call("probe mine")
    assert answer.code == 2 and answer.err.count("\n") == 1


def test_two_players_are_asked_whose(workplace: Path) -> None:
    line = "task=adversarial dataset=digits steps=2 batch_size=16 threads=1 device=cpu"
    small = "model.width=2 eval.examples=16"
    answer = call(f"train {line} {small} hydra.run.dir={workplace / 'mine'}")
    assert answer.code == 0, answer.err
    answer = call("probe mine")
    assert answer.code == 2 and "player=discriminator" in answer.err
    found = optbench.probe(
        "mine", "player=generator", "instruments=[hessian,ggn]", "examples=16", "hessian.top=1"
    )
    assert found.values["hessian/largest"] and "not a criterion" in found.lacking["ggn"]


def test_half_precision_is_told_and_measured_in_full(workplace: Path) -> None:
    train("steps=2 precision=bf16", workplace / "mine")
    answer = call("probe mine instruments=[hessian,trace]")
    assert answer.code == 2
    assert "hessian, trace: left out: bfloat16 rounds second derivatives away" in answer.out
    words = ["precision=fp32", "instruments=hessian", "examples=20"]
    assert optbench.probe("mine", *words).values["hessian/largest"]


def test_carried_states_and_batch_norm_in_training(workplace: Path) -> None:
    text = workplace / "text.txt"
    text.write_text("to be or not to be, that is the question; " * 40, encoding="utf-8")
    line = f"dataset=text dataset.path={text} dataset.context=8 batch_size=8 model=lstm"
    answer = call(
        f"train {line} model.width=4 task.carry=true steps=2 threads=1 hydra.run.dir=lstm"
    )
    assert answer.code == 0, answer.err
    answer = call("probe lstm instruments=hessian")
    assert answer.code == 2 and "left out: task.carry=true: examples in no order" in answer.out
    train("steps=2 model.batch_norm=true", workplace / "norm")
    words = ["instruments=hessian", "examples=40", "chunk=20", "mode=train"]
    notes = optbench.probe("norm", *words).notes
    assert any("batch norm by the statistics of each chunk" in note for note in notes)


def test_averaged_weights_are_not_those_that_are_looked_at(workplace: Path) -> None:
    train("steps=2 ema=0.9", workplace / "mine")
    notes = optbench.probe("mine", "instruments=trace", "examples=20", "trace.products=4").notes
    assert notes[0] == "the weights that are trained, not those that are scored (EMA 0.9)"


def test_nothing_is_written_into_the_runs_folder(run: Path) -> None:
    answer = call(f"probe {run} instruments=[effective_lr] --out {run}/probes")
    assert answer.code == 2 and "inside the run's folder" in answer.err
    assert not (run / "probes").exists()


def test_a_damaged_checkpoint_is_told_where_another_is_taken(run: Path) -> None:
    (run / "checkpoints/step-00000006/state.pt").write_bytes(b"x")
    answer = call(f"probe {run} instruments=[effective_lr] --at last")
    assert answer.code == 0
    said = " ".join((answer.out + answer.err).split())
    assert "step-00000006: state.pt has 1 bytes" in said
