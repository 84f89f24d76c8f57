"""When the runs of a benchmark are scored, and what its report says of what they took."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from optbench.benchmark.contenders import contenders
from optbench.benchmark.problems import problem_of
from optbench.compose.composer import hydra_session
from optbench.files import load_yaml

from .test_benchmark import LINE, call, report, runs

SMALL = ["workload=digits_mlp", "model.hidden=[8]", "threads=1"]


def every(*lines: str, search: Any = None) -> tuple[Any, Any]:
    """`eval.every` of a trial, and of its setting with a fresh seed."""
    with hydra_session() as composer:
        own = contenders(composer, ["sgd"], search)
        found = problem_of(composer, "digits_mlp", [*SMALL, *lines], own, 2, 0)
        (each,) = found.contenders
        tuning, fresh = found.tuning(each, 1, 0), found.confirming(each, 1, 1)
        assert not tuning.config.eval.test and fresh.config.eval.test
        return tuning.plain["eval"]["every"], fresh.plain["eval"]["every"]


def test_optimizers_with_names_of_their_own_may_be_one_mapping() -> None:
    own = {"slow": ["optimizer=sgd", "optimizer.lr=1e-3"], "b": "adamw"}
    with hydra_session() as composer:
        together = contenders(composer, own, None)
        apart = contenders(composer, [{name: what} for name, what in own.items()], None)
    assert [each.as_plain() for each in together] == [each.as_plain() for each in apart]
    assert [each.name for each in together] == ["slow", "b"]


@pytest.mark.parametrize(
    ("lines", "tuning", "fresh"),
    [
        (["steps=20"], "1ep", 1),  # of fewer than fifty steps each one
        (["steps=149"], "1ep", 2),  # 2 % are 2.98
        (["epochs=10", "batch_size=129"], "1ep", 2),  # 100 steps
        (["steps=1000", "eval.every=2%"], "2%", "2%"),
        (["steps=1000", "eval.every=7"], 7, 7),
        (["steps=1000", "eval.every=21"], 21, 20),
        (["steps=1000", "eval.every=0"], 0, 20),
        # what is scored decides how the training goes on: so it is left as it is
        (["steps=1000", "early_stopping.patience=9"], "1ep", "1ep"),
        (["steps=1000", "schedule=plateau"], "1ep", "1ep"),
        (["steps=1000", "schedule=plateau", "eval.every=10"], 10, 10),
    ],
)
def test_a_fresh_seed_is_scored_each_fiftieth_of_the_run(
    lines: list[str], tuning: Any, fresh: Any
) -> None:
    assert every(*lines) == (tuning, fresh)


def test_a_trial_of_another_length_is_scored_by_its_own() -> None:
    search = {"sgd": {"batch_size": {"choice": [323]}}}  # 5 steps an epoch instead of 21
    assert every("epochs=10", search=search)[1] == 1
    assert every("epochs=10")[1] == 4


def test_a_report_says_what_each_run_took() -> None:
    line = LINE.replace("trials=3 seeds=2", "trials=1 seeds=1")
    line = line.replace("suite=tiny", "workload=digits_mlp")
    asks = "target.metric=val/accuracy target.value=0.15 model.hidden=[8] threads=1"
    sam = "{sam: ['optimizer=sgd', 'wrapper=sam']}"
    still = "{no: ['optimizer=sgd', 'optimizer.lr=0']}"
    mixed = f'"optimizers=[sgd, {sam}, {still}]"'
    assert call(f"{line} {asks} {mixed}").code == 0
    (found,) = report()["workloads"]
    passes = {"sgd": 20, "sam": 40, "no": 20}
    for arm in found["tuned"]:
        for run in arm["runs"]:
            folder = runs()[run["run"]]
            summary = folder.read_summary()
            taken = {key: summary[key] for key in ("examples", "passes", "state_bytes")}
            assert {"steps": 20, **taken}.items() <= run.items()
            assert run["passes"] == passes[arm["name"]] and run["examples"] == 20 * 64
            target, at = summary["target"], run["reached_at"]
            assert (at is not None) == run["reached"]
            if at is not None:
                assert at == {key: target[key] for key in ("step", "examples", "passes")}
                assert at["passes"] == at["step"] * passes[arm["name"]] / 20
            assert load_yaml(folder.config)["eval"]["every"] == 1
            scored = [r["step"] for r in folder.read_metrics() if r["kind"] == "val"]
            assert scored == list(range(1, 21))
    assert any(run["reached_at"] for arm in found["tuned"] for run in arm["runs"])
    assert "seconds" not in json.dumps(report())  # it is the same after a kill
    (again,) = [p for p in Path("b").glob("report.json")]
    before = again.read_bytes()
    assert call("resume b").code == 0 and again.read_bytes() == before
