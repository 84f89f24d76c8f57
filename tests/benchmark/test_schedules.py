"""Optimizers crossed with schedules: each cell is tuned by itself."""

from __future__ import annotations

import pytest

from .test_benchmark import call, report, runs

ONE = "benchmark workload=digits_mlp model.hidden=[8] threads=1 steps=20"


@pytest.mark.slow
def test_each_optimizer_with_each_schedule_is_tuned_anew() -> None:
    sizes = "trials=2 seeds=1 hydra.sweep.dir=b"
    line = f"{ONE} {sizes} 'optimizers=[sgd,adamw]' 'schedules=[constant,cosine]'"
    found = call(line)
    assert found.code == 0, found.err
    (told,) = report()["workloads"]
    names = ["sgd+constant", "sgd+cosine", "adamw+constant", "adamw+cosine"]
    assert [arm["name"] for arm in told["tuned"]] == names
    first = [told["trials"][name][1] for name in names]
    assert first[0]["values"] == first[1]["values"] and first[0]["run"] != first[1]["run"]
    chosen = {n: r.read_overrides()["choices"]["schedule"] for n, r in runs().items()}
    assert {chosen[trial["run"]] for trial in told["trials"]["adamw+cosine"]} == {"cosine"}
    before = set(runs())
    assert call("resume b optimizers=[adan]").code == 0  # with the same schedules
    (more,) = report()["workloads"]
    assert [arm["name"] for arm in more["tuned"]] == [*names, "adan+constant", "adan+cosine"]
    assert before < set(runs())
    assert call("resume b optimizers=[sgd] schedules=[linear]").code == 0
    assert report()["workloads"][0]["tuned"][-1]["name"] == "sgd+linear"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("schedules=[cosin]", "schedules: cosin: no such schedule; did you mean cosine?"),
        ("schedules=[]", "schedules=[]: expected some, such as schedules=[constant,cosine]"),
        ("schedules=[cosine,cosine]", "schedules: cosine: twice"),
        ("schedules=[cosine] schedule=linear", "schedule=linear: beside schedules=[...]; one of"),
        ("schedules=3", "schedules=3: expected some"),
    ],
)
def test_bad_schedules_are_one_line(words: str, said: str) -> None:
    found = call(f"{ONE} trials=1 seeds=1 'optimizers=[sgd]' {words} hydra.sweep.dir=b")
    assert (found.code, found.out) == (2, "")
    assert said in " ".join(found.err.split()) and len(found.err.splitlines()) <= 2
