"""`optbench resume` of a run with several players."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from optbench.files import load_yaml
from optbench.rundir import RunDir

from .program import call
from .test_resume_command import assert_refused, changes, files, resumed

LINE = "model=dcgan model.width=2 dataset=digits device=cpu threads=1 steps=4"


@pytest.fixture(scope="module")
def finished(shared_place: Path) -> RunDir:
    answer = call(f"train {LINE} hydra.run.dir='{shared_place}/gan'")
    assert answer.code == 0, answer.err
    return RunDir(shared_place / "gan")


@pytest.fixture
def run(workplace: Path, finished: RunDir) -> RunDir:
    """A copy of it."""
    return RunDir(Path(shutil.copytree(finished.path, workplace / "run")))


def test_a_players_schedule_may_be_another_one(run: RunDir) -> None:
    before = load_yaml(run.overrides)
    said = changes(resumed(run, "player.generator.schedule=cosine steps=6"))
    assert any(line.startswith("player.generator.schedule._target_=") for line in said)
    players = load_yaml(run.config)["player"]
    assert players["generator"]["schedule"]["_target_"].endswith("Cosine")
    assert players["discriminator"]["schedule"]["_target_"].endswith("Constant")
    after = load_yaml(run.overrides)
    assert after["overrides"] == [
        *before["overrides"],
        "player.generator.schedule=cosine",
        "steps=6",
    ]
    key = "schedule@player.generator.schedule"
    assert after["choices"] == {**before["choices"], key: "cosine"}


def test_a_players_optimizer_alone_lets_a_diverged_run_go_on(run: RunDir) -> None:
    before = files(run)
    assert "nothing is left to do" in resumed(run, "player.generator.optimizer.lr=1e-3").err
    assert files(run) == before
    run.write_status("diverged", 4)
    answer = resumed(run, "player.generator.optimizer.lr=1e-3")
    assert "player.generator.optimizer.lr=0.001 (was 0.0002)" in changes(answer)


REFUSED = [
    ("schedule=cosine steps=6", ["schedule=cosine", "player.generator.schedule=cosine"]),
    ("optimizer.lr=5 steps=8", ["optimizer.lr=5", "player.generator.optimizer.lr=5"]),
    ("workload=digits_mlp", ["workload=digits_mlp", "not when a run is resumed"]),
    ("recipe=gan", ["recipe=gan", "not when a run is resumed"]),
    ("hydra.run.dir=other", ["hydra.run.dir=other: not when a run is resumed"]),
    ("hydra/launcher=joblib", ["hydra/launcher=joblib: not when a run is resumed"]),
    ("player.generator.optimizer=sgd", ["player.generator.optimizer._target_", "can't change"]),
    ("player.generator.update_every=2", ["player.generator.update_every=2", "can't change"]),
    ("player.generater.optimizer=sgd", ["player.generater.optimizer=sgd", "mean generator?"]),
]


@pytest.mark.parametrize(("line", "named"), REFUSED)
def test_a_change_that_players_can_not_take(run: RunDir, line: str, named: list[str]) -> None:
    assert_refused(run, line, named)
