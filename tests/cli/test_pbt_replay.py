"""The best member's values, trained with from scratch: `schedule=replay`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from optbench.files import load_yaml
from optbench.population.members import PopulationJobs
from optbench.rundir import RunDir
from optbench.runs.result import RunResult

from .program import SMALL, Answer, assert_same_bits, call, final_state, records
from .test_pbt import ADAMW, LINE, LR, ancestors, at, command_in


@pytest.fixture(scope="module")
def answer(shared_place: Path) -> Answer:
    return call(ADAMW)


@pytest.fixture
def study(answer: Answer, shared_place: Path, monkeypatch: pytest.MonkeyPatch) -> Answer:
    monkeypatch.chdir(shared_place)
    return answer


def winner(folder: str = "study", rounds: int = 3) -> RunDir:
    found = [at(rounds - 1, m, folder) for m in range(4)]
    return max(found, key=lambda run: run.read_summary()["final"]["val/accuracy"])


def rates(run: RunDir) -> dict[int, float]:
    found = records(run, "train")
    return {record["step"]: record["lr/model"] for record in found if "lr/model" in record}


@pytest.mark.parametrize("schedule", ["schedule=cosine schedule.warmup_steps=3", "", "wsd"])
def test_the_best_is_replayed_from_scratch(schedule: str) -> None:
    """With its seed, and nothing but lr searched, it is trained over again."""
    schedule = f"schedule={schedule} schedule.min_ratio=0.1" if schedule == "wsd" else schedule
    line = f"{LINE} optimizer=sgd optimizer.momentum=0.9 optimizer.lr=0.02 steps=12 rounds=4 "
    line += "quantile=0.5 resample=0"
    found = call(f"{line} {schedule} 'search={{{LR}}}' seed=1")
    assert found.code == 0, found.err
    best = winner(rounds=4)
    lrs = [load_yaml(run.config)["optimizer"]["lr"] for run in ancestors(best)]
    assert len(set(lrs)) > 1
    again = call(f"{command_in(found.out)} hydra.run.dir=again")
    assert again.code == 0, again.err
    run = RunDir(Path("again"))
    assert rates(run) == pytest.approx(rates(best), rel=1e-12)
    assert len(rates(run)) == 12
    mine, theirs = records(run, "val")[-1], records(best, "val")[-1]
    assert mine["val/loss"] == pytest.approx(theirs["val/loss"], rel=1e-4)
    assert call(f"show {command_in(found.out).removeprefix('train ')}").code == 0


BETAS = "optimizer.betas.0: {one_minus_log: [0.02, 0.5]}"
DECAY = "optimizer.weight_decay: {log: [0.01, 1]}"
MOMENTUM = "optimizer.momentum: {one_minus_log: [0.02, 0.5]}"
EVERY = "checkpoint.every=1 checkpoint.keep_last=20"


@pytest.fixture
def copying(monkeypatch: pytest.MonkeyPatch) -> RunDir:
    """Each round's best member is one that has copied; the last round's is returned."""
    real = PopulationJobs._know

    def know(self: PopulationJobs, number: int, m: int, result: RunResult) -> None:
        real(self, number, m, result)
        if self.rounds[number].scores.get(m) is not None:
            self.rounds[number].scores[m] = float((m - number) % 4)

    monkeypatch.setattr(PopulationJobs, "_know", know)
    return at(3, 2)


def groups_at(run: RunDir, step: int) -> list[dict[str, Any]]:
    """The parameter groups of a checkpoint, as the next update takes them."""
    path = run.checkpoints / f"step-{step:08d}" / "state.pt"
    state = torch.load(path, weights_only=True)["players"]["model"]["optimizer"]
    groups: list[dict[str, Any]] = []
    for each in state.get("members", [state]):
        groups += [g for part in each.get("members", [each]) for g in part["param_groups"]]
    return [{k: v for k, v in group.items() if "params" not in k} for group in groups]


@pytest.mark.parametrize(
    ("optimizer", "search"),
    [
        (
            "adamw schedule=cosine",
            f"{LR}, {BETAS}, optimizer.betas.1: {{one_minus_log: [0.001, 0.1]}}, {DECAY}, "
            "optimizer.eps: {log: [1e-8, 1e-2]}",
        ),
        (
            "sgd optimizer.momentum=0.9 wrapper=lookahead optimizer.decay=decoupled "
            "optimizer.weight_decay=0.1 'momentum_schedule={schedule: linear, to: 0.5}'",
            f"{LR}, {MOMENTUM}, {DECAY}, optimizer.nesterov: {{choice: [true, false]}}",
        ),
        pytest.param("muon", f"{LR}, {MOMENTUM}, {DECAY}", marks=pytest.mark.slow),
        pytest.param("adamw optimizer.decay_norm_and_bias=false", DECAY, marks=pytest.mark.slow),
        ("adamw 'optimizer.groups=[{params: \"*bias\", eps: 0.1}]'", f"{LR}, {BETAS}"),
    ],
    ids=["adamw", "sgd", "muon", "decay", "groups"],
)
def test_all_settings_of_the_optimizer_are_replayed(
    optimizer: str, search: str, copying: RunDir, kept: None
) -> None:
    """Each update has those that the best one's ancestor had at the same step."""
    line = f"{LINE} optimizer={optimizer} steps=12 rounds=4 quantile=0.5 resample=0 {EVERY}"
    found = call(f"{line} 'search={{{search}}}'")
    assert found.code == 0, found.err
    assert "not by round" not in found.out
    assert call(f"{command_in(found.out)} hydra.run.dir=again").code == 0
    again, compared = RunDir(Path("again")), []
    for number, run in enumerate(ancestors(copying)):
        for step in range(3 * number + 1, 3 * number + 3):
            mine, theirs = groups_at(again, step), groups_at(run, step)
            assert len(mine) == len(theirs)
            for one, other in zip(mine, theirs, strict=True):
                assert one.pop("lr") == pytest.approx(other.pop("lr"), rel=1e-12)
                apart = (one.pop("decay_base_lr", 0), other.pop("decay_base_lr", 0))
                assert one == other, apart
            compared.append(theirs)
    assert any(groups != compared[0] for groups in compared)
    mine, theirs = records(again, "val")[-1], records(run, "val")[-1]
    assert mine["val/loss"] == pytest.approx(theirs["val/loss"], rel=1e-4)
    assert call(f"resume again --at 7 --to branch {EVERY}").code == 0
    assert_same_bits(final_state(RunDir(Path("branch"))), final_state(again))


def test_what_is_no_setting_of_the_optimizer_has_its_last_value(copying: RunDir) -> None:
    """Settings of the schedule go into the file, which has it whole."""
    more = "clip.norm: {log: [0.1, 10]}, schedule.min_ratio: {choice: [0.1, 0.2, 0.3]}"
    line = f"{LINE} optimizer=sgd optimizer.momentum=0.9 schedule=cosine steps=12 rounds=4 "
    line += "'optimizer.groups=[{params: \"*bias\", momentum: 0.5}]' quantile=0.5 resample=0"
    found = call(f"{line} 'search={{{LR}, {MOMENTUM}, {more}}}'")
    assert found.code == 0, found.err
    out = " ".join(found.out.split())
    last = load_yaml(copying.config)
    for key, why in (
        ("clip.norm", "no setting of the optimizer"),
        ("schedule.min_ratio", "no setting of the optimizer"),
        ("optimizer.momentum", "optimizer.groups has its own momentum"),
    ):
        assert f"not by round, but as in the last one: {key} ({why})" in out
    assert call(f"{command_in(found.out)} hydra.run.dir=again").code == 0
    config = load_yaml(Path("again/config.yaml"))
    assert config["clip"] == last["clip"]
    assert config["optimizer"]["momentum"] == last["optimizer"]["momentum"]
    file = load_yaml(Path("study/replay.yaml"))
    assert file["schedule"]["min_ratio"] == last["schedule"]["min_ratio"]
    assert list(file["values"]) == ["optimizer.lr"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            "optimizer=sgd",
            "optimizer.betas.0: nothing that the optimizer looks up at each step; sc",
        ),
        (
            "optimizer=adamw 'optimizer.groups=[{params: \"*\", betas: [0.8, 0.9]}]'",
            "optimizer.betas.0: optimizer.groups has its own betas; schedule.of=optimizer.lr",
        ),
    ],
)
def test_an_optimizer_without_the_settings_is_refused(more: str, said: str, study: Answer) -> None:
    line = f"train {SMALL} steps=12 {more} schedule=replay schedule.file=study/replay.yaml"
    found = call(f"{line} hydra.run.dir=none")
    assert found.code == 2 and not Path("none").exists()
    (line_,) = found.err.splitlines()
    assert line_.startswith(
        f"optbench: schedule.file={Path('study/replay.yaml').absolute()}: {said}"
    )
    assert call(f"{line} schedule.of=optimizer.lr hydra.run.dir=alone-{len(said)}").code == 0


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("often", "optimizer.betas.0: expected values such as 0.9"),
        (".nan", "optimizer.betas.0: expected values such as 0.9"),
        ("[0.9, 0.5]", "optimizer.betas.0: expected values such as 0.9"),
        ("true", "optimizer.betas.0: expected values such as 0.9"),
    ],
)
def test_values_of_another_kind_are_refused(value: str, said: str, study: Answer) -> None:
    plain = load_yaml(Path("study/replay.yaml"))
    first = plain["values"]["optimizer.betas.0"][0]
    text = Path("study/replay.yaml").read_text(encoding="utf-8")
    Path("bad.yaml").write_text(text.replace(f"- {first}", f"- {value}"), encoding="utf-8")
    words = "optimizer=adamw steps=12 schedule=replay schedule.file=bad.yaml hydra.run.dir=none"
    found = call(f"train {SMALL} {words}")
    assert found.code == 2 and not Path("none").exists() and said in found.err


def test_a_part_of_another_schedule_says_which_key(study: Answer) -> None:
    node = "{schedule: replay, file: study/replay.yaml"
    found = call(f"train {SMALL} steps=12 optimizer=adamw 'weight_decay_schedule={node}, to: 0}}'")
    assert found.code == 2
    said = "weight_decay_schedule.of=null: all of it is for schedule=replay; say which: "
    assert f"{said}optimizer.lr or optimizer.betas.0" in found.err
    chain = f"schedule=chain 'schedule.parts=[{node}, of: optimizer.lr}}]' hydra.run.dir=part"
    assert call(f"train {SMALL} steps=12 optimizer=adamw {chain}").code == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("steps: 12", "steps: 13"), "ends: expected steps that rise to that of the run's end"),
        (("lr: 0.", "lr: -0."), "lr: expected a number above 0"),
        (("values:", "value:"), "values is missing"),
        (("optbench.schedules.cosine.Cosine", "os.system"), "schedule: os.system: expected one of"),
        (("min_ratio:", "metric: val/loss\n  min_ratio:"), "reacts to the run"),
        (("ends:\n- 4", "ends:\n- 9"), "ends: expected steps that rise"),
    ],
)
def test_another_file_is_no_replay(change: tuple[str, str], said: str, study: Answer) -> None:
    text = Path("study/replay.yaml").read_text(encoding="utf-8")
    assert change[0] in text
    bad = Path("bad.yaml")
    bad.write_text(text.replace(*change, 1), encoding="utf-8")
    command = command_in(study.out).replace(str(Path("study/replay.yaml").absolute()), "bad.yaml")
    assert "bad.yaml" in command
    found = call(f"{command} hydra.run.dir=none")
    assert found.code == 2 and not Path("none").exists()
    (line,) = found.err.splitlines()
    file = f"schedule.file={bad.absolute()}"
    assert line.startswith(f"optbench: {file}: not what optbench pbt writes (") and said in line


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("schedule=replay", "schedule.file=null: which file? such as schedule.file=STUDY/"),
        ("schedule=replay schedule.file=gone.yaml", "schedule.file: "),
        ("schedule=replay schedule.file=study/replay.yaml steps=9", "schedule.file="),
        ("schedule=replay schedule.file=study/replay.yaml schedule.of=x", "schedule.of=x: not in"),
    ],
)
def test_a_file_that_is_missing_or_of_another_length_is_a_line(
    more: str, said: str, study: Answer
) -> None:
    more = more if "steps=" in more else f"{more} steps=12"
    found = call(f"train {SMALL} {more} hydra.run.dir=none")
    assert found.code == 2 and not Path("none").exists()
    (line,) = found.err.splitlines()
    assert line.startswith(f"optbench: {said}")
    if "gone" in more:
        assert "gone.yaml" in line
    if "steps=9" in more:
        assert line.endswith("of a run of 12 steps; this is one of 9")
