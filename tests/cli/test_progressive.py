"""What `optimizer=progressive` refuses: one line, and no folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from optbench.cli.main import main

NEXT = "{optimizer: sgd, momentum: 0.9}"
STAGES: dict[str, str] = {
    "[]": "optimizer.stages=[]: which optimizers?",
    "[{optimizer: adm, until: 50%}, sgd]": "stages[0].optimizer=adm: no such optimizer; did you",
    "[{until: 50%}, sgd]": "stages[0]={until: 50%}: which optimizer?",
    "[adam, sgd]": "stages[0]: never ends; add until",
    "[{optimizer: adam, until: 50%}, {optimizer: sgd, until: 80%}]": "[1].until=80%: nothing",
    f"[{{optimizer: adam, until: 100}}, {NEXT}]": "until=100: never comes: step 100 of a run of",
    f"[{{optimizer: adam, until: 50%}}, {{optimizer: lion, until: 30}}, {NEXT}]": "until=30: step",
    f"[{{optimizer: adam, until: 50%, beta: 0.9}}, {NEXT}]": "beta=0.9: no such key; did you mean",
    f"[{{optimizer: adam, until: 50%, betas: [2, 0.9]}}, {NEXT}]": "stages[0].betas=[2, 0.9]: not",
    f"[{{optimizer: adam, until: 50%, lr: 0.1}}, {NEXT}]": "of the first stage write optimizer.lr",
    f"[{{optimizer: adam, until: plateau}}, {NEXT}]": "until=plateau: not valid; expected a step",
    f"[{{optimizer: adam, until: 0}}, {NEXT}]": "until=0: not valid",
    f"[{{optimizer: adam, until: {{patience: 2}}}}, {NEXT}]": "which metric?",
    f"[{{optimizer: adam, until: {{metric: val/los}}}}, {NEXT}]": "did you mean val/loss?",
    f"[{{optimizer: adam, until: {{metric: val/loss}}}}, {NEXT}]": "patience=10: never comes",
    "[{optimizer: adam, until: {metric: val/loss, below: 1, above: 2}}, sgd]": "one of them",
    f"[{{optimizer: adam, until: {{swats: 0}}}}, {NEXT}]": "expected a positive number",
    f"[{{optimizer: progressive, until: 9}}, {NEXT}]": "stages do not have stages",
    f"[{{optimizer: adam, until: 9, train: 'hed.*'}}, {NEXT}]": "stages[0].train: hed.* matches no",
    f"[{{optimizer: adam, until: 9, schedule: cosin}}, {NEXT}]": "no such schedule; did you mean",
    f"[{{optimizer: adam, until: 9, wrapper: sma}}, {NEXT}]": "no such wrapper; did you mean sam?",
    f"[{{optimizer: schedulefree, until: 9}}, {NEXT}]": "evaluates at other weights",
    "[{optimizer: rmsprop, until: 9}, {optimizer: sgd, lr: swats}]": "RMSprop is none of them",
    "[{optimizer: adam, until: 9}, {optimizer: adamw, lr: swats}]": "which AdamW is not",
    "[{optimizer: adam, until: 9}, {optimizer: sgd, lr: swat}]": "did you mean swats?",
    "[{optimizer: adam, until: 9}, {optimizer: sgd, keep: momentum}]": "stages[1]: SGD has no",
    "[{optimizer: adam, until: 9}, {optimizer: sgd, keep: moment}]": "did you mean momentum?",
    "[{optimizer: sgd, keep: momentum, until: 9}, sgd]": "nothing before the first stage",
}
OTHERS: dict[str, str] = {
    "wrapper=sam": "goes around one of them",
    "schedule=hypergradient": "follows one optimizer's steps",
}


def refused(capsys: pytest.CaptureFixture[str], *overrides: str) -> str:
    own = ["train", "optimizer=progressive", "dataset=digits", "steps=100", "hydra.run.dir=run"]
    assert main([*own, *overrides]) == 2
    assert not Path("run").exists()
    said = capsys.readouterr().err.strip()
    assert "\n" not in said and "Traceback" not in said
    return said


@pytest.mark.parametrize("stages", STAGES)
def test_stages_that_can_not_be(stages: str, capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(capsys, f"optimizer.stages={stages}")
    assert STAGES[stages] in said and "optimizer" in said


@pytest.mark.parametrize("line", OTHERS)
def test_what_does_not_go_with_stages(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert OTHERS[line] in refused(capsys, line)


def test_a_metric_that_nobody_measures(capsys: pytest.CaptureFixture[str]) -> None:
    until = "{metric: grad_norm/total, below: 0.1}"
    stages = f"optimizer.stages=[{{optimizer: adam, until: {until}}}, {NEXT}]"
    said = refused(capsys, stages, "monitor.every=0")
    assert "stages[0].until.metric=grad_norm/total needs measurements" in said


def test_no_step_tells_a_rate(capsys: pytest.CaptureFixture[str]) -> None:
    own = ["train", "optimizer=progressive", "dataset=digits", "steps=8", "hydra.run.dir=run"]
    stages = "optimizer.stages=[{optimizer: adam, until: 4}, {optimizer: sgd, lr: matched}]"
    assert main([*own, stages, "optimizer.lr=0"]) == 1  # the run had begun
    said = capsys.readouterr().err
    assert "optimizer.stages: no step until 4 told a learning rate" in said
    assert "Traceback" not in said


def test_find_lr_finds_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["find-lr", "optimizer=progressive", "dataset=digits"]) == 2
    assert "has stages" in capsys.readouterr().err
