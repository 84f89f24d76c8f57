"""The best member's values, trained with from scratch: `schedule=replay`."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from optbench.files import load_yaml
from optbench.rundir import RunDir

from .program import SMALL, Answer, call, records
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


def test_weight_decay_is_replayed_and_betas_are_said_not_to_be(study: Answer) -> None:
    search = f"{LR}, optimizer.weight_decay: {{log: [0.01, 1]}}, "
    search += "optimizer.betas.0: {one_minus_log: [0.02, 0.5]}"
    line = f"{LINE.replace('=study', '=decays')} optimizer=adamw steps=12 rounds=4 quantile=0.5"
    found = call(f"{line} 'search={{{search}}}' resample=0")
    assert found.code == 0, found.err
    assert "not by round, but as in the last one: optimizer.betas.0" in found.out
    best = winner("decays", 4)
    configs = [load_yaml(run.config)["optimizer"] for run in ancestors(best)]
    decays = [config["weight_decay"] for config in configs]
    assert len(set(decays)) > 1
    for number, decay in enumerate(decays):
        stops = f"steps=12 checkpoint.every=1 checkpoint.keep_last=20 hydra.run.dir=d{number}"
        if not number:
            assert call(f"{command_in(found.out)} {stops}").code == 0
        saved = Path(f"d0/checkpoints/step-{3 * number + 1:08d}/state.pt")
        state = torch.load(saved, weights_only=True)["players"]["model"]["optimizer"]
        assert state["param_groups"][0]["weight_decay"] == decay
        assert state["param_groups"][0]["betas"][0] == configs[-1]["betas"][0]


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
