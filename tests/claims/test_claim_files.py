"""Every claim in configs/claim: it can be read, composed at both budgets, and measured."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from few import few

from optbench.claims.asked import Asked, claim_of
from optbench.claims.experiment import plan
from optbench.claims.measuring import function_of, names_of_measures
from optbench.claims.read import read_claim
from optbench.compose.composer import Composer, hydra_session
from optbench.compose.paths import config_files, configs_folder
from optbench.errors import UserError
from optbench.files import parse_yaml
from optbench.statistics import least_pairs

from .conftest import CLAIM

CLAIMS = [path.stem for path in config_files(configs_folder() / "claim")]
MEASURES = Path(__file__).parents[2] / "optbench" / "claims" / "measures"


@pytest.fixture(scope="module")
def composer() -> Iterator[Composer]:
    with hydra_session() as made:
        yield made


@pytest.mark.parametrize("name", few(CLAIMS, 16))
def test_a_claim_can_be_run(name: str, composer: Composer) -> None:
    claim = claim_of(composer, name)
    assert all(re.fullmatch(r"[1-8]\.\d", section) for section in claim.section)
    assert callable(function_of(claim))
    quick, full = (
        plan(composer, claim, Asked(each, seeds=1), there=False) for each in ("quick", "full")
    )
    assert sum(each.runs for each in quick) <= sum(each.runs for each in full)
    assert claim.budgets["quick"].seeds <= claim.budgets["full"].seeds
    least = least_pairs(len(claim.cases))
    assert claim.exact or claim.budgets["quick"].seeds >= least, f"{least} seeds decide anything"
    assert claim.exact or claim.budgets["full"].seeds >= 10, "10 seeds where a verdict rests on any"


def test_each_measure_is_a_claims() -> None:
    with hydra_session() as made:
        used = {str(claim_of(made, name).measure["name"]) for name in CLAIMS}
    general = {"final", "probed", "rate"}
    assert set(names_of_measures()) - general <= used


def text(**changed: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {**parse_yaml(CLAIM, "tiny.yaml"), **changed}
    return {key: value for key, value in plain.items() if value is not None}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"rule": None}, "it has no rule; what decides, fixed before it is run, such as rule:"),
        ({"measure": None}, "it has no measure; a measure's name, such as measure: final"),
        ({"experiment": None}, "it has no experiment; parts with what is run"),
        ({"sentence": ["x"]}, "sentence=[x]: expected a text"),
        ({"section": 2.2}, 'section=2.2: expected a text, such as "2.2"'),
        ({"sentense": "x"}, "sentense: no such key; did you mean sentence?"),
        ({"measure": 3}, "measure=3: expected a name, or {name: NAME, ...} with settings"),
        ({"every": 3}, "every=3: expected words as on a command line"),
        ({"every": "'x"}, "every='x: no closing quotation"),
        ({"experiment": "x"}, "experiment=x: expected parts by name"),
        ({"experiment": {"a": {"train": "x"}}}, "experiment: a: train: no such key; "),
        ({"experiment": {"a": {"at": "last"}}}, "experiment: a={at: last}: expected one verb"),
        ({"experiment": {"a": {"probe": "b"}}}, "experiment: a: probe=b: no such part; there is"),
        ({"experiment": {"a": {"replay": "b"}}}, "experiment: a: replay=b: no such part; there is"),
        (
            {"experiment": {"a": {"replay": "pb"}, "pbt": {"pbt": "space=lr"}}},
            "experiment: a: replay=pb: no such part; did you mean pbt?",
        ),
        (
            {"experiment": {"a": {"ranks": 1}}},
            "experiment: a: ranks=1: expected a number from 2 to",
        ),
        (
            {"experiment": {"a": {"pbt": "x", "words": "y"}}},
            "experiment: a: words: of ranks or rep",
        ),
        ({"cases": {"a/b": None}}, "cases: a/b: can't be the name of a case"),
        ({"cases": {"a": {"smal": "x"}}}, "cases: a: smal: no such key; did you mean small?"),
        ({"cases": {"a": {"small": 3}}}, "cases: a: small=3: expected words as on a command"),
        ({"budget": {"quik": {}}}, "budget: quik: no such budget; did you mean quick?"),
        ({"budget": {"quick": {}}}, "budget: quick: seeds=null: expected a number from 1 to 1000"),
        ({"budget": {"quick": {"sed": 3}}}, "budget: quick: sed: no such key; did you mean seeds?"),
        ({"exact": "no noise"}, "budget: quick: seeds=6: beside exact, which says that one run"),
    ],
)
def test_what_is_no_claim(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as error:
        read_claim(text(**changed), "mine")
    assert str(error.value).startswith(f"claim=mine: {said}")


def test_words_change_no_rule_and_rules_do() -> None:
    fixed = read_claim(text(), "tiny").fixed
    assert read_claim(text(conditions="other", would_change="x", source="y"), "tiny").fixed == fixed
    assert read_claim(text(rule={"above": "small", "value": 0}), "tiny").fixed != fixed
    assert read_claim(text(every="steps=4"), "tiny").fixed != fixed


def test_a_case_may_have_words_for_all_parts_and_for_single_ones() -> None:
    cases = {"long": {"every": "steps=9", "large": "optimizer.lr=0.2"}, "plain": "steps=4"}
    claim = read_claim(text(cases=cases), "tiny")
    with hydra_session() as made:
        parts = {(each.case, each.part.name): each for each in plan(made, claim, Asked("quick"))}
    assert {"steps=9", "optimizer.lr=0.2"} <= {*parts["long", "large"].words}
    assert {"steps=9", "optimizer.lr=1e-4"} <= {*parts["long", "small"].words}
    assert {"steps=4", "optimizer.lr=1e-1"} <= {*parts["plain", "large"].words}


def test_a_measure_is_a_file_with_a_function() -> None:
    files = sorted(path.stem for path in MEASURES.glob("*.py") if path.stem != "__init__")
    assert names_of_measures() == files


def test_a_range_test_has_its_ramp() -> None:
    part = {"find_lr": "optimizer=sgd", "ramp": {"low": "1e-6", "ramp_steps": 40}}
    (read,) = read_claim(text(experiment={"a": part}), "mine").parts
    assert (read.verb, read.ramp) == ("find_lr", {"low": 1e-6, "ramp_steps": 40})
    for wrong, said in (
        ({"find_lr": "x", "ramp": {"lo": 1}}, "a: ramp: lo: no such key; did you mean low?"),
        ({"check": "x", "ramp": {"low": 1}}, "a: ramp: of find_lr alone; write check: ..."),
    ):
        with pytest.raises(UserError, match=said):
            read_claim(text(experiment={"a": wrong}), "mine")
