"""The doctor as a run goes on: what it says, what it ends, and that a resume changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

import optbench
from optbench.config.identity import identity
from optbench.config.schema import from_plain
from optbench.rundir import RunDir
from optbench.symptoms.base import Record, Rule, Symptom
from tests.cli.program import assert_same_bits, call, final_state, records

RUN = "threads=1 device=cpu model.hidden=[8] dataset=digits monitor.tensorboard=false"
WILD = f"{RUN} optimizer=sgd optimizer.lr=300 steps=80 eval.every=20 checkpoint.every=10"


class Fortieth(Rule):
    """Finds that 40 steps were taken."""

    name = "fortieth"
    help = "the fortieth step"

    def observe(self, record: Record) -> Symptom | None:
        if record["step"] < 40 or self.variant is not None:
            return None
        return self.found(record, "it is late", "40", "time")


class Failing(Rule):
    name = "failing"

    def observe(self, record: Record) -> Symptom | None:
        raise ValueError("no such\nthing")


HERE = "tests.runs.test_live_doctor"
STOPS = f"doctor.rules=[{{_target_:{HERE}.Fortieth}}] doctor.stop_on=[fortieth]"


def test_a_symptom_is_said_once(tmp_path: Path) -> None:
    answer = call(f"train {WILD} hydra.run.dir={tmp_path / 'run'}")
    said = [line for line in answer.err.splitlines() if "doctor: " in line]
    names = [line.split()[2] for line in said]
    assert "divergence" in names and len(names) == len(set(names))
    log = (tmp_path / "run" / "log.txt").read_text(encoding="utf-8")
    assert all(line in log for line in said)


def test_nobody_looks_where_it_is_off(tmp_path: Path) -> None:
    answer = call(f"train {WILD} monitor.doctor=false hydra.run.dir={tmp_path / 'run'}")
    assert "doctor: " not in answer.err
    tags = {tag for record in records(RunDir(tmp_path / "run"), "monitor") for tag in record}
    assert "grad_norm/total" in tags
    assert not any(tag.startswith("dead_units/") for tag in tags)


def test_a_symptom_may_end_a_run(tmp_path: Path) -> None:
    call(f"train {RUN} steps=80 {STOPS} hydra.run.dir={tmp_path / 'run'}")
    status = RunDir(tmp_path / "run").read_status()
    assert (status["state"], status["step"]) == ("stopped_early", 40)
    assert status["message"] == "fortieth: it is late (40)"


def test_a_run_that_was_killed_ends_where_the_whole_does(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    line = f"{RUN} checkpoint.every=10 eval.every=20 {STOPS}"
    call(f"train {line} steps=80 hydra.run.dir={whole}")
    call(f"train {line} steps=30 hydra.run.dir={cut}")
    answer = call(f"resume {cut} steps=80")
    assert RunDir(cut).read_status()["step"] == 40 and "stopped early at step 40" in answer.err
    assert_same_bits(final_state(RunDir(whole)), final_state(RunDir(cut)))
    again = call(f"resume {cut} steps=90")  # what ended it is still so
    assert "stopped early at step 40" in again.err and "doctor: " not in again.err
    call(f"resume {cut} steps=50 doctor.stop_on=[]")
    assert RunDir(cut).read_status()["step"] == 50


def test_a_resumed_run_is_told_nothing_twice(tmp_path: Path) -> None:
    call(f"train {WILD} hydra.run.dir={tmp_path / 'run'}")
    answer = call(f"resume {tmp_path / 'run'} steps=100")
    assert "doctor: divergence" not in answer.err


def test_a_rule_that_fails_ends_no_run(tmp_path: Path) -> None:
    rule = f"doctor.rules=[{{_target_:{HERE}.Failing}}]"
    answer = call(f"train {RUN} steps=20 {rule} hydra.run.dir={tmp_path / 'run'}")
    assert answer.code == 0
    assert answer.err.count("doctor: the rule failing fails and is left out (ValueError: no such t")


def test_a_run_of_before_had_no_doctor() -> None:
    """Its config has neither setting: it is read, is the same run, and nobody looks at it."""
    config = dict(optbench.compose("dataset=digits", "steps=3").plain)
    before = {key: value for key, value in config.items() if key != "doctor"}
    before["monitor"] = {k: v for k, v in config["monitor"].items() if k != "doctor"}
    assert identity(before) == identity(config)
    assert not from_plain(before).monitor.doctor and not from_plain(before).doctor.stop_on
    assert from_plain(config).monitor.doctor


def test_what_ends_a_run_is_part_of_what_it_is() -> None:
    plain = {"seed": 1, "doctor": {"stop_on": [], "rules": []}}
    ends = {"seed": 1, "doctor": {"stop_on": ["gap"], "rules": []}}
    assert identity(plain) == identity({"seed": 1}) != identity(ends)


@pytest.mark.parametrize(
    "line, told",
    [
        ("doctor.stop_on=[divergenc]", "doctor.stop_on=divergenc: no such symptom; did you mean d"),
        ("doctor.stop_on=[too_slow]", "doctor.stop_on=too_slow: known at a run's end only"),
        ("doctor.stop_on=[gap] monitor.doctor=false", "doctor.stop_on: nobody looks"),
        ("doctor.rules=[{_target_:torch.nn.ReLU}]", "expected a Rule"),
        ("doctor.rules=[gap]", "doctor.rules="),
    ],
)
def test_bad_input_leaves_no_folder(line: str, told: str, tmp_path: Path) -> None:
    answer = call(f"train {RUN} {line} hydra.run.dir={tmp_path / 'run'}")
    assert answer.code == 2 and told in answer.err
    assert not (tmp_path / "run").exists()
