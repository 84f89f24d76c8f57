"""What speaks against a comparison is said, a line each, and nothing of it counts silently."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import optbench
from optbench.files import dump_yaml

from .folders import Folders

GOOD: dict[int, float | None] = {seed: 0.90 + seed / 1000 for seed in range(4)}
BAD: dict[int, float | None] = {seed: 0.80 + seed**2 / 1000 for seed in range(4)}


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    made = Folders(tmp_path / "runs")
    made.arm("sgd", BAD)
    return made


def said(folders: Folders, begins: str, others: int = 0) -> str:
    """The one warning that begins so; there are so many others."""
    lines = optbench.compare(folders.top).warnings
    (line,) = [each for each in lines if each.startswith(begins)]
    assert len(lines) == 1 + others, lines
    return line


def test_nothing_is_said_of_runs_that_are_alike(folders: Folders) -> None:
    folders.arm("adam", GOOD)
    assert optbench.compare(folders.top).warnings == ()


def test_half_the_budget(folders: Folders) -> None:
    folders.arm("adam", {seed: GOOD[seed] for seed in range(3)})
    folders.write("short", "adam", 3, 0.9, step=210)
    line = said(folders, "unequal budgets: ", others=1)
    assert "adam seed 3 took 13,440, where 26,880 examples are usual" in line


def test_other_batches_of_as_many_examples_are_equal_budgets(folders: Folders) -> None:
    for seed, score in GOOD.items():
        settings = {"batch_size": 128}
        folders.write(f"{seed}", "adam", seed, score, settings, step=210, examples=64 * 420)
    (line,) = optbench.compare(folders.top).warnings  # steps are no measure, examples are
    assert line == "no times to target: runs were planned for other lengths"


def test_a_resume_with_another_lr_is_left_out(folders: Folders) -> None:
    folders.arm("adam", {seed: GOOD[seed] for seed in range(3)})
    log = "2026-03-01T10:00:00 changed: optimizer.lr=0.5 (was 0.1)\n"
    folders.write("odd", "adam", 3, 0.99, {"optimizer.lr": 0.5}, log=log)
    line = said(folders, "left out: ")
    assert line.endswith("odd: a resume went on with optimizer.lr=0.5 (was 0.1)")
    assert len(optbench.compare(folders.top).arm("adam").scores) == 3


@pytest.mark.parametrize("log", ["", "2026-03-01T10:00:00 tags=[a]\n"])
def test_a_config_that_changed_though_no_log_says_how(folders: Folders, log: str) -> None:
    folders.arm("adam", GOOD, status={"config": ["a", "own"]}, log=log)
    if log:
        assert optbench.compare(folders.top).warnings == ()
    else:
        assert "whose log does not say which" in said(folders, "a resume went on with other ")


def test_a_resume_with_another_length_is_said(folders: Folders) -> None:
    folders.arm("adam", {seed: GOOD[seed] for seed in range(3)})
    log = "2026-03-01T10:00:00 changed: epochs=20 (was 10)\n"
    folders.write("longer", "adam", 3, 0.9, log=log)
    line = said(folders, "a resume went on with other settings: ")
    assert line.endswith("longer with epochs=20 (was 10)")


@pytest.mark.parametrize(
    ("environment", "begins"),
    [
        (
            {"git": {"commit": "b" * 40, "dirty": False}},
            "different code versions: 0.1.0 aaaaaaaaa (sgd)",
        ),
        (
            {"git": {"commit": "a" * 40, "dirty": True}},
            "different code versions: 0.1.0 aaaaaaaaa (sgd), 0.1.0 aaaaaaaaa with changes (adam)",
        ),
        ({"versions": {"optbench": "0.1.0", "torch": "2.11.0"}}, "different versions of torch: "),
        ({"device": "cuda"}, "different hardware: cpu here (sgd), cuda here (adam)"),
        ({"host": "there"}, "different hardware: cpu here (sgd), cpu there (adam)"),
    ],
)
def test_other_surroundings(folders: Folders, environment: dict[str, Any], begins: str) -> None:
    folders.arm("adam", GOOD, environment=environment)
    assert "(adam)" in said(folders, begins)


def test_other_precision(folders: Folders) -> None:
    folders.arm("adam", GOOD, settings={"precision.name": "bf16"})
    assert said(folders, "different precision: fp32 (sgd), bf16 (adam")


def test_the_second_run_of_a_seed_is_left_out(folders: Folders) -> None:
    folders.arm("adam", GOOD)
    folders.write("again", "adam", 0, 0.99)
    line = said(folders, "left out: ")
    assert "again: adam has seed 0 already, of " in line
    assert optbench.compare(folders.top).arm("adam").scores[0, ""] == GOOD[0]


def test_one_tuned_and_the_other_at_its_defaults(folders: Folders) -> None:
    folders.arm("adam", GOOD, settings={"optimizer.lr": 0.3}, said=("optimizer.lr=0.3",))
    line = said(folders, "unequal tuning: ")
    assert "adam (optimizer.lr) was given settings, sgd was left at the defaults" in line


def test_the_best_lr_at_the_edge_of_a_sweep(tmp_path: Path) -> None:
    made = Folders(tmp_path / "runs")
    for lr, score in ((0.001, 0.7), (0.01, 0.8), (0.1, 0.9)):
        made.write(f"{lr}", "sgd", 0, score, {"optimizer.lr": lr}, said=(f"optimizer.lr={lr}",))
    line = said(made, "optimum at an edge: lr=0.1 is the best of optimizer.lr from ")
    assert "0.001 to 0.1" in line
    made.write("more", "sgd", 0, 0.5, {"optimizer.lr": 1.0}, said=("optimizer.lr=1.0",))
    assert optbench.compare(made.top).warnings == ()


def test_the_best_epoch_chosen_on_test(folders: Folders) -> None:
    best = {"metric": "test/accuracy", "mode": "max", "value": 0.95, "step": 40}
    folders.arm("adam", GOOD, best=best)
    assert said(folders, "chosen on the test set: best=test/accuracy (adam)")


def test_folds_are_pairs_that_are_not_independent(tmp_path: Path) -> None:
    made = Folders(tmp_path / "runs")
    for name in ("sgd", "adam"):
        for fold in (1, 2):
            score = 0.9 + fold / 100 + (name == "sgd") / 50 * fold
            made.write(f"{name}{fold}", name, 0, score, {"dataset.fold": f"{fold}/5"})
    assert said(made, "folds share their training examples")
    assert len(optbench.compare(made.top).pairs) == 2


def test_seeds_that_change_nothing_are_no_sample(tmp_path: Path) -> None:
    made = Folders(tmp_path / "runs")
    made.arm("sgd", dict.fromkeys(range(8), 0.8))
    made.arm("adam", dict.fromkeys(range(8), 0.9))
    assert said(made, "all seeds of each arm came to the same")


def test_a_grid_on_one_seed_beside_the_winner_on_many(folders: Folders) -> None:
    folders.arm("adam", GOOD)
    for lr in (0.01, 0.5):
        folders.write(f"{lr}", "adam", 0, 0.7, {"optimizer.lr": lr})
    line = said(folders, "perhaps tuned on seeds it is scored on: beside adam lr=0.1, ")
    assert "2 other settings have only seed 0; if these chose it" in line


def test_trials_of_a_benchmark_are_no_seeds_of_what_they_chose(tmp_path: Path) -> None:
    made = Folders(tmp_path / "bench" / "runs")
    for name in ("sgd", "adam"):
        made.arm(name, {seed: 0.9 + seed / 1000 for seed in range(1, 7)})
        made.write(f"{name}-trial", name, 0, 0.99, {"eval": {"test": False}})
    (tmp_path / "bench" / "benchmark.yaml").touch()
    line = said(made, "left out: 2 trials on seed 0, by which ", others=1)
    assert line.endswith(" chose")
    assert sorted(optbench.compare(made.top).arm("adam").scores) == [(n, "") for n in range(1, 7)]


# DeepOBS: on its tuning seed, 42, fmnist_2c2d gives Adam 92.94 and SGD 92.18; on nine fresh ones
# 92.28 +- 0.22 and 92.28 +- 0.19.
FRESH_ADAM = [0.9250, 0.9210, 0.9262, 0.9205, 0.9228, 0.9241, 0.9196, 0.9222, 0.9238]
FRESH_SGD = [0.9214, 0.9247, 0.9221, 0.9243, 0.9199, 0.9256, 0.9229, 0.9208, 0.9235]


def deepobs(tmp_path: Path, fresh: bool) -> Folders:
    """A study of each optimizer on seed 42, and its best settings with that seed and others."""
    made = Folders(tmp_path / "runs")
    of = (("adam", 0.9294, FRESH_ADAM, 0.001), ("sgd", 0.9218, FRESH_SGD, 0.1))
    for name, tuned, others, lr in of:
        for i, factor in enumerate((0.1, 1.0, 10.0)):
            settings = {"optimizer.lr": lr * factor}
            made.write(f"study-{name}/{i}", name, 42, tuned - 0.01 * (factor != 1), settings)
        plan = {"space": {"search": {"optimizer.lr": {}}}, "metric": "test/accuracy", "mode": "max"}
        (made.top / f"study-{name}" / "study.yaml").write_text(dump_yaml(plan), encoding="utf-8")
        for seed, score in [(42, tuned), *enumerate(others)] if fresh else [(42, tuned)]:
            own = {"optimizer.lr": lr}
            made.write(f"final/{name}-{seed}", name, seed, score, own, (f"optimizer.lr={lr}",))
    return made


def test_the_seed_that_chose_does_not_count_beside_fresh_ones(tmp_path: Path) -> None:
    found = optbench.compare(deepobs(tmp_path, fresh=True).top)
    assert {arm.name: len(arm.scores) for arm in found.arms} == {"adam": 9, "sgd": 9}
    assert sorted(line.partition(" (")[0] for line in found.warnings) == [
        "left out: seed 42 chose the settings of adam",
        "left out: seed 42 chose the settings of sgd",
    ]
    (verdict,) = found.verdicts
    assert verdict.outcome == "indistinguishable" and verdict.p > 0.5


def test_the_seed_that_chose_is_warned_of_where_there_is_no_other(tmp_path: Path) -> None:
    found = optbench.compare(deepobs(tmp_path, fresh=False).top)
    assert [arm.name for arm in found.arms] == ["adam", "sgd"]
    assert found.sentences[0].startswith("1 seed can't decide")
    assert all(line.startswith("tuned on the seeds it is scored on") for line in found.warnings)


def test_settings_that_no_trial_had_were_not_chosen_there(tmp_path: Path) -> None:
    made = deepobs(tmp_path, fresh=True)
    made.write("mine", "sgd", 42, 0.9, {"optimizer.lr": 0.07})
    found = optbench.compare(made.top)
    assert len(found.arm("sgd lr=0.07").scores) == 1 and len(found.arm("sgd lr=0.1").scores) == 9


def test_studies_alone_stand_for_their_best_trials(tmp_path: Path) -> None:
    top = deepobs(tmp_path, fresh=False).top
    found = optbench.compare(top / "study-adam", top / "study-sgd")
    assert {arm.name: arm.mean for arm in found.arms} == {"adam": 0.9294, "sgd": 0.9218}
    assert sum(line.startswith("tuned on the seeds") for line in found.warnings) == 2
    one = optbench.compare(top / "study-adam")
    assert len(one.arms) == 3 and "its trials have seed 42" in one.warnings[0]


def test_trials_that_differ_within_a_list_are_not_one(tmp_path: Path) -> None:
    made = Folders(tmp_path / "runs")
    for i, beta in enumerate((0.8, 0.9)):
        settings = {"optimizer.betas": [beta, 0.99]}
        made.write(f"study/{i}", "adam", 42, beta, settings)
    made.write("other/0", "sgd", 1, 0.7)
    plan = {"space": {"search": {"optimizer.betas.0": {}}}, "metric": "test/accuracy"}
    study = made.top / "study"
    (study / "study.yaml").write_text(dump_yaml({**plan, "mode": "max"}), encoding="utf-8")
    made.write("final/0", "adam", 42, 0.9, {"optimizer.betas": [0.9, 0.99]})
    made.write("final/1", "adam", 43, 0.9, {"optimizer.betas": [0.9, 0.99]})
    made.write("final/2", "adam", 42, 0.6, {"optimizer.betas": [0.5, 0.99]})
    found = optbench.compare(study, made.top / "final", made.top / "other")
    scores = {arm.name: len(arm.scores) for arm in found.arms}
    assert scores["adam betas=[0.9, 0.99]"] == 1  # without the seed that chose it
    assert scores["adam betas=[0.5, 0.99]"] == 1  # which no trial had


def test_scores_of_other_parts_of_the_validation_set(folders: Folders) -> None:
    folders.arm("adam", GOOD, settings={"eval.examples": 100})
    lines = optbench.compare(folders.top, metric="val/accuracy").warnings
    assert "runs are scored by other numbers of examples: eval.examples differs" in lines
    others = "no times to target: not all runs were evaluated on as many examples (eval.examples)"
    assert others in lines
    assert optbench.compare(folders.top).warnings == (others,)
