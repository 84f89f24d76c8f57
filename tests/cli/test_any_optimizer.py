"""`optbench tune space=any_optimizer`: the optimizer, its settings and the schedule together."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from few import few

from optbench.files import load_yaml
from optbench.tuning.plan import read_plan
from optbench.tuning.study import Study
from optbench.tuning.tune import read_space

from .program import SMALL, Answer, call

pytest.importorskip("optuna")

LINE = f"tune {SMALL} steps=6 eval.every=6 space=any_optimizer hydra.sweep.dir=study"


def tried(folder: str = "study") -> list[tuple[Any, ...]]:
    plan = read_plan(Path(folder))
    study = Study(Path(folder).absolute(), plan, read_space(plan.space, plan.named))
    return [(each.place, dict(each.values), each.scores) for each in study.tried()]


@pytest.fixture(scope="module")
def answer(shared_place: Path) -> Answer:
    return call(f"{LINE} trials=6 sampler=random")


def test_each_trial_has_an_optimizer_its_keys_and_a_schedule(
    answer: Answer, shared_place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(shared_place)
    assert answer.code == 0, answer.err
    assert len(tried()) == 6
    space = read_plan(Path("study")).space
    for place, values, _ in tried():
        config = load_yaml(Path("study", str(place), "config.yaml"))
        name = values["optimizer"]
        own = {key for key in values if key.startswith("optimizer.")}
        assert own == set(space["choose"]["optimizer"][name])
        assert config["optimizer"]["lr"] == values["optimizer.lr"]
        chosen = load_yaml(Path("study", str(place), "overrides.yaml"))
        assert f"optimizer={name}" in str(chosen) and f"schedule={values['schedule']}" in str(
            chosen
        )
    assert len({values["optimizer"] for _, values, _ in tried()}) > 2


def test_the_best_is_a_recipe_and_a_command(
    answer: Answer, shared_place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(shared_place)
    place, values, _ = max(tried(), key=lambda each: each[2][0])
    rows = [line.split() for line in answer.out.splitlines() if re.match(r"\d+ ", line)]
    assert rows[0][:3] == [str(place), values["optimizer"], values["schedule"]]
    assert "what decides (PED-ANOVA)" in answer.out
    decides = answer.out.partition("PED-ANOVA): ")[2].partition("\n\n")[0]
    assert set(re.findall(r"[a-z.]+(?= \d+%)", decides)) == {"optimizer", "schedule"}
    (command,) = [line for line in answer.out.splitlines() if "  optbench train" in line]
    assert call(f"{command.strip().removeprefix('optbench ')} hydra.run.dir=again").code == 0
    again = load_yaml(Path("again/config.yaml"))
    best = load_yaml(Path("study", str(place), "config.yaml"))
    by_recipe = call(f"train {SMALL} recipe=tuned --config-dir study hydra.run.dir=recipe")
    assert by_recipe.code == 0, by_recipe.err
    recipe = load_yaml(Path("recipe/config.yaml"))
    for key in ("optimizer", "schedule", "wrapper", "steps"):
        assert again[key] == best[key] == recipe[key]
    drawn = {path.name for path in Path("study/pictures").iterdir()}
    assert drawn == {"slices.png", "importance.png"}


class Dead(BaseException):
    """Stands for a kill."""


@pytest.mark.slow
@pytest.mark.parametrize(
    "sampler",
    few(["random", "tpe", "qmc"], 1),
)
def test_one_that_is_killed_twice_does_all_trials_and_the_same(
    sampler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = 14 if sampler == "tpe" else 5  # the first ten of TPE are drawn at random
    line = f"{LINE.replace('steps=6', 'steps=2')} sampler={sampler} trials={trials}"
    tell, told = Study.tell, []

    def dying(self: Study, trial: Any, pruned: bool = False) -> None:
        told.append(trial.place)
        if len(told) in (2, trials):
            raise Dead
        tell(self, trial, pruned)

    with monkeypatch.context() as patch:
        patch.setattr(Study, "tell", dying)
        with pytest.raises(Dead):
            call(line)
        with pytest.raises(Dead):
            call("resume study")
        assert call("resume study").code == 0
    assert [place for place, _, _ in tried()] == list(range(trials))
    assert call(line.replace("=study", "=whole")).code == 0
    assert tried("whole") == tried()


@pytest.mark.slow
def test_what_does_not_fit_the_model_is_left_out() -> None:
    line = LINE.replace(SMALL, f"{SMALL} model.hidden=[]")
    found = call(f"{line} trials=1 sampler=random")
    assert found.code == 0, found.err
    assert re.search(r"optimizer=muon is left out: .*no parameter that it can take", found.err)
    assert "muon" not in read_plan(Path("study")).space["choose"]["optimizer"]


@pytest.mark.slow
def test_against_adamw_on_fresh_seeds() -> None:
    pytest.importorskip("scipy")
    found = call(f"{LINE} trials=2 sampler=random seeds=2 against=adamw confirm=2 seed=3")
    assert found.code == 0, found.err
    assert "against optimizer=adamw, tuned as much, by 2 fresh seeds" in found.out
    assert {values["optimizer"] for _, values, _ in tried("study/rival")} == {"adamw"}
    assert len(tried("study/rival")) == len(tried()) == 2
    report = json.loads(Path("study/verdict-2/report.json").read_text(encoding="utf-8"))
    runs = [load_yaml(path) for path in Path("study/verdict-2/runs").glob("*/config.yaml")]
    assert sorted({config["seed"] for config in runs} - {4}) == [5, 6]  # tuned by 3 and 4
    assert set(str(report)) and all(word in str(report) for word in ("any_optimizer", "adamw"))
    again = call("resume study")
    assert again.code == 0 and "any_optimizer" in again.out


BAD = {
    "sampler=grid": "sampler=grid: wants the same keys in all trials",
    "sampler=cmaes": "sampler=cmaes: wants the same keys in all trials",
    "sampler=gp": "use tpe, random, qmc",
    "optimizer=sgd": "optimizer=sgd: space=any_optimizer chooses the optimizer; leave it out",
    "optimizer.lr=0.1": "optimizer.lr=0.1: space=any_optimizer chooses the optimizer",
    "schedule=cosine": "space=any_optimizer chooses the schedule",
    "against=adamww": "against=adamww: not among those of space=any_optimizer; did you mean adamw?",
    "confirm=3": "confirm=3: compared with what? add against=adamw",
    "against=adamw confirm=0": "confirm=0: not valid",
}


@pytest.mark.parametrize("words", BAD)
def test_bad_input_is_a_line_and_leaves_nothing(words: str) -> None:
    found = call(f"{LINE} trials=2 {words}")
    assert found.code == 2 and not Path("study").exists()
    assert BAD[words] in found.err and found.err.count("\n") == 1


def test_other_verbs_say_whose_it_is() -> None:
    one = call(f"tune {SMALL} space=adamw optimizer=adamw trials=2 against=sgd")
    assert one.code == 2 and "of a space that chooses the optimizer" in one.err
    two = call(f"pbt {SMALL} space=any_optimizer members=2 rounds=2")
    assert two.code == 2 and "chooses the optimizer" in two.err
    three = call(f"benchmark {SMALL} optimizers=[sgd,adamw] 'search={{sgd: any_optimizer}}'")
    assert three.code == 2 and "optbench tune space=any_optimizer" in three.err
