"""`optbench tune`."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from optbench.files import load_yaml
from optbench.rundir import RunDir

from .program import SMALL, Answer, call, left_in

pytest.importorskip("optuna")

LINE = f"tune {SMALL} optimizer=adamw steps=6 eval.every=2 hydra.sweep.dir=study"


def runs(folder: str = "study") -> list[RunDir]:
    found = [path for path in Path(folder).iterdir() if path.name[0].isdigit()]
    return [RunDir(path) for path in sorted(found, key=lambda p: [*map(int, p.name.split("-"))])]


@pytest.fixture(scope="module")
def answer(shared_place: Path) -> Answer:
    return call(f"{LINE} space=adamw trials=4 sampler=random")


def test_it_ends_with_the_best_as_a_recipe_and_as_a_command(
    answer: Answer, shared_place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(shared_place)
    assert answer.code == 0, answer.err
    assert [run.state for run in runs()] == ["finished"] * 4
    values = [run.read_summary()["best"]["value"] for run in runs()]
    best = values.index(max(values))
    rows = [line.split() for line in answer.out.splitlines() if re.match(r"\d+ ", line)]
    assert int(rows[0][0]) == best
    (command,) = [line for line in answer.out.splitlines() if "  optbench train" in line]
    config = load_yaml(runs()[best].config)
    words = command.strip().removeprefix("optbench ")
    assert call(f"{words} hydra.run.dir=again").code == 0
    again = load_yaml(Path("again/config.yaml"))
    for key in ("optimizer", "schedule", "seed", "steps", "model"):
        assert again[key] == config[key]
    by_recipe = call(f"train {SMALL} recipe=tuned --config-dir study hydra.run.dir=recipe")
    assert by_recipe.code == 0, by_recipe.err
    recipe = load_yaml(Path("recipe/config.yaml"))
    assert {**recipe, "eval": 0, "name": 0} == {**again, "eval": 0, "name": 0}
    drawn = [path.name for path in Path("study/pictures").iterdir()]
    assert {"slices.png", "lr.png"} <= set(drawn)
    assert re.search(r"^pictures in study/pictures: slices\.png, ", answer.out, re.MULTILINE)
    assert max(map(len, answer.out.replace(command, "").splitlines())) <= 80


def test_the_test_set_is_not_looked_at(
    answer: Answer, shared_place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(shared_place)
    for run in runs():
        text = run.metrics.read_text(encoding="utf-8")
        assert '"kind":"val"' in text and "test" not in text
        assert not [tag for tag in run.read_summary()["final"] if tag.startswith("test")]
    assert "test/" not in answer.out


@pytest.mark.slow
def test_it_goes_on_with_more_trials_as_if_there_had_been_no_end() -> None:
    first = call(f"{LINE} space=adamw trials=2")
    assert first.code == 0, first.err
    more = call("resume study trials=4 executor=local executor.workers=1")
    assert more.code == 0, more.err
    assert re.findall(r"  ([0-9]) left", more.err) == ["1"]
    assert call(f"{LINE.replace('=study', '=whole')} space=adamw trials=4").code == 0
    assert len(runs()) == len(runs("whole")) == 4
    for one, other in zip(runs(), runs("whole"), strict=True):
        assert load_yaml(one.config)["optimizer"] == load_yaml(other.config)["optimizer"]
        assert one.read_summary()["best"] == other.read_summary()["best"]
    for bad in ("trials=3", "steps=9", "trials=many"):
        refused = call(f"resume study {bad}")
        assert refused.code == 2 and refused.err.startswith(f"optbench: {bad}: ")
    assert call("resume study").code == 0


def test_several_seeds_a_trial_are_compared_by_their_mean() -> None:
    answer = call(f"{LINE} space=lr seeds=2 'trials=2' sampler=random seed=5")
    assert answer.code == 0, answer.err
    assert [run.path.name for run in runs()] == ["0-0", "0-1", "1-0", "1-1"]
    configs = [load_yaml(run.config) for run in runs()]
    assert [config["seed"] for config in configs] == [5, 6, 5, 6]
    assert configs[0]["optimizer"]["lr"] == configs[1]["optimizer"]["lr"]
    values = [run.read_summary()["best"]["value"] for run in runs()]
    means = [sum(values[:2]) / 2, sum(values[2:]) / 2]
    assert f"{max(means):#.4g}" in answer.out
    assert "over its runs" in " ".join(answer.out.split())


@pytest.mark.slow
def test_the_grid_of_learning_rates_is_all_of_it_at_once() -> None:
    answer = call(f"{LINE} space=lr")
    assert answer.code == 0, answer.err
    rates = [load_yaml(run.config)["optimizer"]["lr"] for run in runs()]
    assert sorted(rates) == [1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0]
    for more in (8, 60):
        refused = call(f"resume study trials={more}")
        assert refused.code == 2 and f"trials={more}: the grid has 7 points" in refused.err
    assert call("resume study").code == 0


def test_a_best_at_an_end_of_its_range_is_warned_of() -> None:
    answer = call(f"{LINE} 'search={{optimizer.lr: {{log: [1e-9, 2e-9]}}}}' sampler=grid steps=3")
    text = " ".join(answer.out.split())
    assert "optimizer.lr: the best, " in text and "is at an end of its range" in text
    assert "search={optimizer.lr: {log: [" in text


def test_a_trial_that_fails_is_the_worst_and_the_study_goes_on() -> None:
    answer = call(f"{LINE} 'search={{optimizer.lr: {{choice: [1e-3, 1e30]}}}}' nonfinite=raise")
    assert answer.code == 0, answer.err
    rows = [line.split() for line in answer.out.splitlines() if re.match(r"\d+ ", line)]
    assert rows[1][1:] == ["1e+30", "none"]


def test_pruned_runs_end_early_and_are_no_best(monkeypatch: pytest.MonkeyPatch) -> None:
    from optbench.tuning import proposing

    monkeypatch.setattr(proposing.random.Random, "sample", lambda self, of, k: list(of))
    rates = "[0.01, 0.02, 0.03, 0.04, 0.05, 1e-9]"
    line = LINE.replace("steps=6", "steps=60").replace("eval.every=2", "eval.every=10")
    answer = call(f"{line} 'search={{optimizer.lr: {{choice: {rates}}}}}' pruner=median")
    assert answer.code == 0, answer.err
    states = [run.read_status() for run in runs()]
    assert [status["state"] for status in states[:5]] == ["finished"] * 5
    assert states[5]["state"] == "stopped_early"
    assert states[5]["message"].startswith("pruned: others had better val/accuracy at step 10")
    assert "1e-09" not in answer.out


def test_the_recipe_says_all_of_how_the_best_was_trained() -> None:
    line = "optimizer=adamw optimizer.eps=1e-6 batch_size=32"
    line += " schedule=cosine clip.norm=1.0 wrapper=sam"
    answer = call(f"tune {SMALL} steps=4 {line} space=sam trials=2 hydra.sweep.dir=study")
    assert answer.code == 0, answer.err
    (command,) = [line for line in answer.out.splitlines() if "  optbench train" in line]
    assert command.count("optimizer.weight_decay=") == 1
    assert call(f"{command.strip().removeprefix('optbench ')} hydra.run.dir=a").code == 0
    assert call(f"train {SMALL} recipe=tuned --config-dir study hydra.run.dir=b").code == 0
    one, other = (load_yaml(Path(f"{name}/config.yaml")) for name in "ab")
    assert {**one, "name": 0} == {**other, "name": 0}


@pytest.mark.parametrize(
    "line",
    ["optimizer=zoo optimizer.name=lion", "optimizer=custom optimizer._target_=torch.optim.SGD"],
)
def test_the_recipe_of_an_optimizer_that_is_named_says_its_name(line: str) -> None:
    answer = call(f"tune {SMALL} steps=4 {line} space=lr trials=2 hydra.sweep.dir=study")
    assert answer.code == 0, answer.err
    assert call(f"train {SMALL} recipe=tuned --config-dir study hydra.run.dir=b").code == 0
    (best,) = [line for line in answer.out.splitlines() if "  optbench train" in line]
    node, said = load_yaml(Path("b/config.yaml"))["optimizer"], line.split()[-1].split("=")
    assert node[said[0].removeprefix("optimizer.")] == said[1]
    assert f"optimizer.lr={node['lr']}" in best


def test_a_config_file_that_has_changed_is_told_of(tmp_path: Path) -> None:
    own = tmp_path / "own" / "optimizer"
    own.mkdir(parents=True)
    text = "defaults: [sgd]\nmomentum: {}\n"
    (own / "mine.yaml").write_text(text.format(0.9), encoding="utf-8")
    line = LINE.replace("optimizer=adamw", "optimizer=mine")
    assert call(f"{line} space=lr trials=1 --config-dir {own.parent}").code == 0
    (own / "mine.yaml").write_text(text.format(0.5), encoding="utf-8")
    refused = call("resume study trials=2")
    assert refused.code == 2
    assert "optimizer.momentum=0.5: a config file says so today" in refused.err


def test_a_link_in_a_study_is_not_followed() -> None:
    assert call(f"{LINE} space=adamw trials=1").code == 0
    Path("elsewhere").mkdir()
    Path("study/1").symlink_to(Path("elsewhere").absolute())
    refused = call("resume study trials=2")
    assert refused.code == 2 and "a link, where a folder is meant" in refused.err
    assert left_in(Path("elsewhere")) == []


def test_flags_of_one_run_are_refused_of_a_study() -> None:
    assert call(f"{LINE} space=adamw trials=1").code == 0
    for flag in ("--cfg job", "--at best", "--trust"):
        refused = call(f"resume study {flag}")
        assert refused.code == 2 and f"{flag.split()[0]}: of " in refused.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("", "tune: which space? space=NAME"),
        ("space=adamv", "space=adamv: no such space; did you mean adam?"),
        ("space=adamw sampler=tpee", "sampler=tpee: no such sampler; did you mean tpe?"),
        ("space=adamw pruner=medium", "pruner=medium: no such pruner; did you mean median?"),
        ("space=adamw trials=0", "trials=0: not valid; expected a whole number from 1"),
        ("space=adamw trials=many", "trials=many: not valid"),
        ("space=adamw seeds=1.5", "seeds=1.5: not valid"),
        ("space=adamw trials=1,2", "trials=1,2: trials takes one value, not several"),
        ("space=sgd", "space=sgd: for optimizer=sgd; this is optimizer=adamw"),
        ("'search={optimizer.lr: {log: [1, 1e-4]}}'", "search: optimizer.lr: log=[1, 0.0001]"),
        ("'search={optimizer.lr: {log: [0, 1]}}'", "search: optimizer.lr: log=[0, 1]"),
        ("'search={optimizer.momentum: {uniform: [0, 0.9]}}'", "optimizer.momentum: no such key"),
        ("search=lr", "search=lr: not valid; expected such as {optimizer.lr"),
        ("space=lr 'search={optimizer.lr: {log: [1e-4, 1]}}'", "space=lr: beside search"),
        ("space=adamw pruner=wilcoxon", "pruner=wilcoxon: it compares the runs of a trial"),
        ("space=adamw seeds=3 pruner=median", "pruner=median: it gives up single runs"),
        ("space=adamw metric=test/accuracy", "metric=test/accuracy: expected such as val/loss"),
        ("space=adamw metric=val/los", "val/los"),
        ("space=adamw dataset.val_fraction=0", "tune: there is no validation set"),
        ("'search={eval.test: {choice: [true, false]}}'", "search: eval.test: not searched"),
        ("'search={seed: {choice: [1, 2]}}' seeds=2", "search: seed: not searched"),
        ("'search={dataset.fold: {choice: [1/2, 2/2]}}'", "search: dataset.fold: not searched"),
        ("space=adamw folds=3 dataset.fold=1/3", "dataset.fold=1/3: with folds=3"),
        (
            "space=adamw folds=1000 dataset=synthetic dataset.train_size=500",
            "folds=1000: there are",
        ),
        ("space=adamw folds=2000", "folds=2000: not valid"),
        ("space=adamw pruner=median eval.every=0", "pruner=median: a run is scored once"),
        ("+space=adamw", "+space=adamw: write space=..."),
        ("space=adamw executor=lokal", "executor=lokal: no such executor"),
        ("space=adamw -m", "--multirun: not with tune"),
        ("space=adamw seed=0,1", "seed=0,1: several values need"),
        ("space=adamw optimizer.lrr=1", "optimizer.lrr"),
        ("space=lr optimizer=ga", "space=lr: optimizer.lr: GA has no learning rate"),
        ("space=adamw optimizer.lr=0.1", "optimizer.lr=0.1: space=adamw searches optimizer.lr;"),
        ("space=adamw 'optimizer.betas=[0.9,0.9]'", "space=adamw searches optimizer.betas.0"),
    ],
)
def test_bad_input_is_a_line_and_leaves_nothing(words: str, said: str) -> None:
    answer = call(f"{LINE} {words}")
    assert answer.code == 2, answer.out + answer.err
    assert len(answer.err.splitlines()) == 1 and said in answer.err
    assert left_in(Path()) == []


def test_a_study_that_another_process_is_at_is_left_alone() -> None:
    from optbench.runs.log import Log

    assert call(f"{LINE} space=adamw trials=1").code == 0
    log = Log(tells=False)
    log.open(Path("study/log.txt").absolute())
    try:
        refused = call("resume study trials=2")
    finally:
        log.close()
    assert refused.code == 2 and "study: another process is at this study\n" in refused.err
    assert json.dumps(load_yaml(Path("study/study.yaml"))["trials"]) == "1"


def test_a_full_disk_ends_the_study_and_no_trial_is_blamed(monkeypatch: pytest.MonkeyPatch) -> None:
    import errno
    import os

    from optbench.training import trainer

    def full(self: trainer.Trainer, *more: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "weights.pt")

    with monkeypatch.context() as patch:
        patch.setattr(trainer.Trainer, "_save", full)
        answer = call(f"{LINE} space=adamw trials=3")
    assert answer.code == 1
    assert "optbench resume study" in answer.out
    assert "the study stops here: weights.pt: No space left on device" in answer.err
    assert len(runs()) == 1
    assert call("resume study").code == 0
    assert [run.state for run in runs()] == ["finished"] * 3
