"""optbench doctor, of folders that others have written."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest
import yaml

import optbench
from optbench.errors import UserError
from optbench.rundir import DONE
from optbench.symptoms.base import Record, Rule, Symptom
from tests.cli.program import call, train

CONFIG: dict[str, Any] = {
    "steps": 200,
    "optimizer": {"_target_": "torch.optim.SGD", "lr": 2.0},
    "task": {"_target_": "optbench.tasks.classification.Classification"},
}


def folder(path: Path, losses: list[float], state: str = "finished") -> Path:
    path.mkdir(parents=True)
    (path / "config.yaml").write_text(yaml.safe_dump(CONFIG), encoding="utf-8")
    lines = [
        json.dumps({"kind": "train", "step": 10 * (k + 1), "epoch": k / 2, "train/loss": loss})
        for k, loss in enumerate(losses)
    ]
    (path / "metrics.jsonl").write_text("\n".join([*lines, ""]), encoding="utf-8")
    status = {"state": state, "step": 10 * len(losses), "message": ""}
    (path / "status.json").write_text(json.dumps(status), encoding="utf-8")
    if state in DONE:
        ended = {**status, "final": {}, "best": {}, "target": {}}
        (path / "summary.json").write_text(json.dumps(ended), encoding="utf-8")
    env = {"data": {"train_size": 100, "num_classes": 10}}
    (path / "env.json").write_text(json.dumps(env), encoding="utf-8")
    return path


WELL = [2.3 * 0.8**k * (1 + 0.02 * (-1) ** k) for k in range(20)]
BAD = [2.3, 2.0, *[90.0] * 18]


def test_a_run_that_diverged(tmp_path: Path) -> None:
    answer = call(f"doctor {folder(tmp_path / 'bad', BAD)}")
    assert answer.code == 1 and not answer.err
    rest = answer.out.splitlines()
    assert "finished at step 200; 1 symptom\n" in answer.out
    assert "  try       optimizer.lr=0.2" in rest and "train/loss" in rest
    assert any(line.startswith("divergence at step 50 (severe)") for line in rest)


def test_a_run_that_is_well(tmp_path: Path) -> None:
    answer = call(f"doctor {folder(tmp_path / 'well', WELL)}")
    assert answer.code == 0 and not answer.err
    assert answer.out.endswith("finished at step 200; nothing looks wrong\n")


def test_json_of_several_runs(tmp_path: Path) -> None:
    folder(tmp_path / "sweep" / "0", WELL)
    folder(tmp_path / "sweep" / "1", [*BAD[:5], float("nan")], "diverged")
    answer = call(f"doctor {tmp_path} --json")
    assert answer.code == 1
    well, bad = json.loads(answer.out)["runs"]
    assert well["symptoms"] == [] and bad["state"] == "diverged"
    found = next(each for each in bad["symptoms"] if each["name"] == "divergence")
    assert found["severe"] and found["remedies"][0] == "optimizer.lr=0.2" and found["step"] == 50


def test_many_runs_are_a_table(tmp_path: Path) -> None:
    for number in range(4):
        folder(tmp_path / str(number), WELL if number else BAD)
    answer = call(f"doctor {tmp_path}")
    assert answer.code == 1
    lines = answer.out.splitlines()
    assert lines[1].split() == ["0", "finished", "divergence"] and lines[2].split()[-1] == "-"
    assert "4 runs in" in answer.out and "3 without a symptom" in answer.out
    assert "by symptom: " in answer.out


def test_what_is_damaged_is_told(tmp_path: Path) -> None:
    path = folder(tmp_path / "run", WELL)
    (path / "config.yaml").write_text("[", encoding="utf-8")
    with (path / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"kind": 3, "step": 5}\n{"kind": "train", "step": "x"}\n{"ki')
    answer = call(f"doctor {path}")
    assert answer.code == 1 and "note: " in answer.out and "not YAML" in answer.out
    (path / "metrics.jsonl").unlink()
    gone = call(f"doctor {path}").out
    assert "metrics.jsonl is missing, where status.json says step 200" in " ".join(gone.split())


class Third(Rule):
    name = "third"
    help = "sees three records"

    def observe(self, record: Record) -> Symptom | None:
        return self.found(record, "it is the third", "3", "time") if record["step"] == 30 else None


def test_a_rule_of_ones_own(tmp_path: Path) -> None:
    path = folder(tmp_path / "well", WELL)
    answer = call(f"doctor {path} --rule tests.doctor.test_doctor.Third")
    assert answer.code == 0 and "third at step 30: it is the third" in answer.out
    (found,) = optbench.doctor(path, rules=(Third,))
    assert [symptom.name for symptom in found.symptoms] == ["third"] and not found.severe


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


@pytest.mark.parametrize(
    "line, told",
    [
        ("", "doctor: which run?"),
        ("nowhere", "nowhere: no such folder"),
        (".", "no runs are there"),
        (". --jsn", "did you mean --json?"),
        (". --json=3", "--json: it takes no value"),
        (". --rule", "--rule: it wants a value"),
        (". --rule=torch.nn.ReLU", "expected a Rule"),
        (". --rule=optbench.symptoms.spike.Spike", "there is a rule spike already"),
    ],
)
def test_bad_input(line: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    answer = call(f"doctor {line}")
    assert answer.code == 2 and told in answer.err and answer.err.count("\n") == 1


def test_no_runs_in_a_program(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no runs are there"):
        optbench.doctor(tmp_path)


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("metrics.jsonl", "\x00\x07 none of it\n", "no record, where status.json says step 200"),
        ("status.json", "{", "status.json is missing or can't be read"),
        ("summary.json", '{"state": "fini', "summary.json can't be used"),
        ("config.yaml", "a: [", "not YAML"),
    ],
)
def test_what_is_damaged_is_not_called_well(
    file: str, text: str, said: str, tmp_path: Path
) -> None:
    run = folder(tmp_path / "run", WELL)
    (run / file).write_text(text, encoding="utf-8")
    answer = call(f"doctor {run}")
    assert answer.code == 1 and not answer.err
    assert "it is damaged; the rest shows no symptom" in answer.out
    assert said in " ".join(answer.out.split())
    assert json.loads(call(f"doctor {run} --json").out)["runs"][0]["damaged"] is True


@pytest.mark.parametrize(
    ("state", "harm", "said"),
    [
        ("finished", "middle", "line 3 of metrics.jsonl can't be read"),
        ("killed", "middle", "line 3 of metrics.jsonl can't be read"),
        ("finished", "middles", "2 lines of metrics.jsonl can't be read, the first is 3"),
        ("finished", "end", "line 20 of metrics.jsonl can't be read"),
        ("killed", "end", ""),
        ("running", "end", ""),
        ("finished", "metrics.jsonl", "metrics.jsonl is missing"),
        ("finished", "summary.json", "summary.json is missing"),
        ("killed", "summary.json", ""),
    ],
)
def test_a_line_that_is_cut_is_damage_but_where_a_kill_may_leave_one(
    state: str, harm: str, said: str, tmp_path: Path
) -> None:
    run = folder(tmp_path / "run", WELL, "running" if state == "killed" else state)
    lines = (run / "metrics.jsonl").read_text("utf-8").splitlines(keepends=True)
    if state == "killed":
        told = {"host": socket.gethostname()}
        (run / "env.json").write_text(json.dumps(told), encoding="utf-8")
        (run / "log.txt").touch()  # which nobody holds
    for at in {"middle": [2], "middles": [2, 5]}.get(harm, []):
        lines[at] = lines[at][:20] + "\n"
    if harm == "end":
        lines[-1] = lines[-1][:20]
    (run / "metrics.jsonl").write_text("".join(lines), encoding="utf-8")
    if harm.endswith("json") or harm.endswith("jsonl"):
        (run / harm).unlink(missing_ok=True)
    answer = call(f"doctor {run}")
    assert f"{state} at step" in answer.out
    assert (answer.code, "it is damaged" in answer.out) == ((1, True) if said else (0, False))
    assert said in " ".join(answer.out.split())


def test_one_that_can_not_be_read_keeps_nobody_else_from_being_examined(tmp_path: Path) -> None:
    for number in range(4):
        folder(tmp_path / "sweep" / str(number), WELL)
    broken = tmp_path / "sweep" / "2" / "metrics.jsonl"
    broken.unlink()
    broken.mkdir()
    answer = call(f"doctor {tmp_path}")
    assert answer.code == 1 and not answer.err
    assert "4 runs" in answer.out and "3 without a symptom" in answer.out
    assert "a folder, where a file is meant" in " ".join(answer.out.split())


@pytest.mark.parametrize("given", [{"rules": 3}, {"rules": [3]}, {"rules": [int]}, {"every": "x"}])
def test_arguments_of_another_kind_are_refused(given: dict[str, Any], tmp_path: Path) -> None:
    run = folder(tmp_path / "run", WELL)
    with pytest.raises(UserError, match=next(iter(given))):
        optbench.doctor(run, **given)


def test_a_learning_rate_of_0_is_not_advised(tmp_path: Path) -> None:
    run = folder(tmp_path / "run", [2.3] * 20)
    config = {**CONFIG, "optimizer": {**CONFIG["optimizer"], "lr": 0.0}}
    (run / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    answer = call(f"doctor {run} --all")
    remedies = [line for line in answer.out.splitlines() if "optimizer.lr" in line]
    assert remedies and not any(line.split()[-1][-4:] == "lr=0" for line in remedies)
    assert "still falling" not in answer.out


def test_a_run_that_failed_says_why(tmp_path: Path) -> None:
    path = folder(tmp_path / "run", [], "failed")
    status = {"state": "failed", "step": 0, "message": "RuntimeError: my bug"}
    (path / "status.json").write_text(json.dumps(status), encoding="utf-8")
    first = " ".join(call(f"doctor {path}").out.splitlines())
    assert "failed at step 0: RuntimeError: my bug; what it recorded shows no symptom" in first


def test_a_run_that_recorded_nothing_is_where_its_status_says(tmp_path: Path) -> None:
    path = folder(tmp_path / "run", [])
    status = {"state": "diverged", "step": 3, "message": "loss is nan"}
    (path / "status.json").write_text(json.dumps(status), encoding="utf-8")
    (path / "metrics.jsonl").write_text("", encoding="utf-8")
    answer = call(f"doctor {path}")
    assert "diverged at step 3; 1 symptom" in answer.out
    assert "divergence at step 3 (severe)" in answer.out


@pytest.mark.parametrize("harm", ["cut", "gone", "manifest"])
def test_a_checkpoint_that_lacks_something_is_told(harm: str, tmp_path: Path) -> None:
    path = tmp_path / "run"
    train("steps=2", path)
    (step,) = (path / "checkpoints").iterdir()
    state = step / "state.pt"
    whole = state.read_bytes()
    if harm == "cut":
        state.write_bytes(whole[:100])
    elif harm == "gone":
        state.unlink()
    else:
        (step / "manifest.json").write_text('{"files": {"../x": 3}}', encoding="utf-8")
    said = {"cut": f"state.pt has 100 bytes of {len(whole):,}", "gone": "state.pt is missing"}
    answer = call(f"doctor {path}")
    assert answer.code == 1 and "it is damaged" in answer.out
    wrong = said.get(harm, "manifest.json is not as it was written")
    assert f"the checkpoint of step 2 is damaged: {wrong}" in " ".join(answer.out.split())


def test_a_folder_without_a_run_is_told_beside_others(tmp_path: Path) -> None:
    path, empty = tmp_path / "runs", tmp_path / "empty"
    empty.mkdir()
    for name in ("sgd", "adam"):
        train(f"steps=2 optimizer={name}", path / name)
    for verb in ("doctor", "runs", "compare"):
        answer = call(f"{verb} {path} {empty}")
        assert answer.err.startswith(f"warning: {empty}: no run is there\n"), verb
