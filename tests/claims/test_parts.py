"""The verbs that an experiment may use beside sweeps, and what a measure gets of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from optbench.claims.asked import asked
from optbench.claims.experiment import Planned, plan
from optbench.claims.found import Found
from optbench.claims.read import read_claim
from optbench.claims.run import Doer
from optbench.compose.composer import hydra_session
from optbench.files import parse_yaml

from .conftest import CLAIM

EXPERIMENT: dict[str, Any] = {
    "runs": "optimizer=sgd optimizer.lr=0.1,0.2",
    "looks": {"probe": "runs", "words": "instruments=[hessian] examples=50", "at": "last"},
    "range": {"find_lr": "optimizer=sgd", "ramp": {"ramp_steps": 30}},
    "checked": {"check": "checks=[wiring]"},
    "arms": {"benchmark": "optimizers=[sgd,adamw] trials=1"},
}


def planned() -> list[Planned]:
    plain = {**parse_yaml(CLAIM, "tiny.yaml"), "experiment": EXPERIMENT}
    claim = read_claim(plain, "tiny")
    with hydra_session() as composer:
        return plan(composer, claim, asked(composer, ["seeds=2"]))


def done(folder: Path, told: list[str]) -> Found:
    return Doer(folder, (), None, told.append).do(planned())


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


def test_settings_take_turns_seed_by_seed() -> None:
    (runs, *_) = planned()
    assert runs.words[0] == "seed=0,1" and runs.runs == 4
    assert "checkpoint=final" in runs.words, "it is probed"
