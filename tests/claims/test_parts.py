"""The verbs that an experiment may use beside sweeps, and what a measure gets of them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from optbench.claims import run
from optbench.claims.asked import asked
from optbench.claims.experiment import Planned, plan
from optbench.claims.found import Found
from optbench.claims.measures import state_share
from optbench.claims.read import read_claim
from optbench.claims.run import Doer
from optbench.compose.composer import hydra_session
from optbench.errors import UserError
from optbench.files import load_yaml, parse_yaml

from .conftest import CLAIM

EXPERIMENT: dict[str, Any] = {
    "runs": "optimizer=sgd optimizer.lr=0.1,0.2",
    "looks": {"probe": "runs", "words": "instruments=[hessian] examples=50", "at": "last"},
    "range": {"find_lr": "optimizer=sgd", "ramp": {"ramp_steps": 30}},
    "checked": {"check": "checks=[wiring]"},
    "arms": {"benchmark": "optimizers=[sgd,adamw] trials=1"},
}


POPULATIONS: dict[str, Any] = {
    "again": {"replay": "evolved", "words": "eval.every=1"},
    "evolved": {"pbt": "optimizer=sgd search={optimizer.lr:{log:[1e-2,1]}} members=3 rounds=3"},
    "looks": {"probe": "again", "words": "instruments=[hessian] examples=50", "at": "last"},
}


def planned(experiment: dict[str, Any] = EXPERIMENT, seeds: int = 2) -> list[Planned]:
    plain = {**parse_yaml(CLAIM, "tiny.yaml"), "experiment": experiment}
    claim = read_claim(plain, "tiny")
    with hydra_session() as composer:
        return plan(composer, claim, asked(composer, [f"seeds={seeds}"]))


def done(folder: Path, told: list[str]) -> Found:
    return Doer(folder, (), None, told.append).do(planned())


def killed(at: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the second run of a function of `run.py` end the program, as a kill would."""
    real, calls = getattr(run, at), []

    def dying(*given: Any, **more: Any) -> Any:
        calls.append(given)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*given, **more)

    monkeypatch.setattr(run, at, dying)


def test_each_verb_gives_what_it_says_and_only_once(workplace: Path) -> None:
    pytest.importorskip("scipy")
    folder = workplace / "runs" / "all"
    told: list[str] = []
    found = done(folder, told)
    assert len(found.runs("runs")) == 4
    assert [name for name, _ in found.groups()] == ["runs lr=0.1", "runs lr=0.2"]
    assert set(found.by_setting("runs", "optimizer.lr")) == {0.1, 0.2}
    looks = found.others["looks"]
    assert [(each["seed"], each["label"]) for each in looks] == [
        *((0, "lr=0.1"), (0, "lr=0.2")),
        *((1, "lr=0.1"), (1, "lr=0.2")),
    ]
    assert all(each["values"]["hessian/largest"] for each in looks)
    assert set(found.others["range"]["seeds"]) == {"0", "1"}
    assert [each["seed"] for each in found.others["checked"]] == [0, 1]
    arms = found.others["arms"]["workloads"][0]["tuned"]
    assert {arm["name"] for arm in arms} == {"sgd", "adamw"}
    assert len(told) == 4
    again = done(folder, told)
    assert len(told) == 4 and again.others == found.others


def test_what_a_population_found_is_replayed_at_the_next_seed(workplace: Path) -> None:
    folder, told = workplace / "runs" / "all", []
    parts = planned(POPULATIONS, seeds=3)
    assert [each.part.name for each in parts] == ["evolved", "again", "looks"]
    found = Doer(folder, (), None, told.append).do(parts)
    evolved, again = found.others["evolved"], found.runs("again")
    assert [each["seed"] for each in evolved] == [ran.seed for ran in again] == [0, 1, 2]
    assert [each["seed"] for each in found.others["looks"]] == [0, 1, 2]
    for number, ran in enumerate(again):
        said = load_yaml(str(ran.setting("schedule.file")))
        rates = [each["values"]["optimizer.lr"] for each in evolved[number - 1]["rounds"]]
        assert said["values"]["optimizer.lr"] == rates and len(rates) == 3
        recorded = [line["lr/model"] for line in ran.run.records() if "lr/model" in line]
        assert recorded == pytest.approx(rates)
        assert ran.setting("eval.every") == 1 and ran.run.state == "finished"
    assert len({str(ran.setting("schedule.file")) for ran in again}) == 3
    assert len(told) == 3
    assert Doer(folder, (), None, told.append).do(parts).others == found.others
    assert len(told) == 3


@pytest.mark.parametrize("at", ["evolved", "replayed"])
def test_populations_and_replays_that_were_killed_go_on(
    at: str, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = planned({name: POPULATIONS[name] for name in ("evolved", "again")})
    whole = Doer(workplace / "whole", (), None, lambda line: None).do(parts)
    cut = Doer(workplace / "cut", (), None, lambda line: None)
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        killed(at, patched)
        cut.do(parts)
    first = workplace / "cut" / parts[0].folder / "0.json"
    assert first.is_file()
    written = first.stat().st_mtime_ns
    again = cut.do(parts)
    assert first.stat().st_mtime_ns == written, "what is done is not done again"
    rounds = [[each["rounds"] for each in found.others["evolved"]] for found in (whole, again)]
    assert rounds[0] == rounds[1]
    ends = [[ran.final("val/loss") for ran in found.runs("again")] for found in (whole, again)]
    assert ends[0] == ends[1]


def test_what_replays_hangs_on_what_was_searched() -> None:
    other = {**POPULATIONS, "evolved": {"pbt": f"{POPULATIONS['evolved']['pbt']} quantile=0.3"}}
    hashes = [[each.hash for each in planned(said)] for said in (POPULATIONS, other)]
    assert not {*hashes[0]} & {*hashes[1]}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("space=lr membres=3", "membres=3: no such key; did you mean members=3?"),
        ("space=lr members=1", "members=1: not valid; expected a whole number from 2"),
        ("members=3", "pbt: which space? "),
        ("search={batch_size:{choice:[4,8]}}", "search: batch_size: can't change when a run goes"),
        ("space=lr dataset=mnist dataset.download=false", "MNIST is missing"),
    ],
)
def test_what_no_population_can_do_is_told_before_anything_is_run(words: str, said: str) -> None:
    with pytest.raises(UserError) as error:
        planned({"runs": "optimizer=sgd", "evolved": {"pbt": words}})
    assert said in str(error.value)


def test_a_populations_members_are_counted_and_each_seeds_replay_is_a_run() -> None:
    evolved, again, looks = planned(POPULATIONS, seeds=3)
    assert (evolved.runs, again.runs, looks.runs) == (9, 3, 3)


@pytest.mark.slow
def test_runs_on_ranks_go_on_and_have_a_share_of_the_state(workplace: Path) -> None:
    words = "optimizer=adam optimizer.lr=0.1,0.2 strategy=zero1 model.hidden=[64,64]"
    parts = planned({"shared": {"ranks": 2, "words": words}}, seeds=1)
    told: list[str] = []
    doer = Doer(workplace / "runs", (), None, told.append)
    ((_, runs), (_, others)) = doer.do(parts).groups()
    assert state_share.ranks_of(runs[0]) == 2
    assert (runs[0].setting("optimizer.lr"), others[0].setting("optimizer.lr")) == (0.1, 0.2)
    ends = runs[0].final("val/loss"), others[0].final("val/loss")
    last = workplace / "runs" / parts[0].folder / "1"
    shutil.rmtree(last)  # as if it had been killed before the second run
    again = doer.do(parts).runs("shared")
    assert (again[0].final("val/loss"), again[1].final("val/loss")) == ends
    assert last.is_dir() and len(told) == 1


@pytest.mark.slow
def test_ranks_that_end_badly_are_told_of_in_a_line(workplace: Path) -> None:
    words = "optimizer=lbfgs strategy=zero1"
    (part,) = planned({"shared": {"ranks": 2, "words": words}}, seeds=1)
    doer = Doer(workplace / "runs", (), None, lambda line: None)
    with pytest.raises(UserError, match=r"2 ranks: strategy=zero1: LBFGS evaluates the loss"):
        doer.do([part])


def test_settings_take_turns_seed_by_seed() -> None:
    (runs, *_) = planned()
    assert runs.words[0] == "seed=0,1" and runs.runs == 4
    assert "checkpoint=final" in runs.words, "it is probed"
