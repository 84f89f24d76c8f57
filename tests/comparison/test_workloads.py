"""Several workloads, benchmarks' arms, times to target, failure rates: from synthetic folders."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

import pytest

import optbench
from optbench.comparison.formats import as_csv, as_json
from optbench.comparison.result import Workload
from optbench.comparison.told import beside, rows_across, said_across
from optbench.errors import UserError
from optbench.rundir import RunDir

from .folders import Folders

SEEDS = range(8)
CNN = {"choices": {"model": "cnn"}, "settings": {"model._target_": "optbench.models.cnn.CNN"}}
LR = {"choices": {"model": "linear"}, "settings": {"model._target_": "optbench.models.Linear"}}


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders(tmp_path / "runs")


def scores(start: float) -> dict[int, float | None]:
    return {seed: start + 0.001 * (seed * 7 % 5) for seed in SEEDS}


def write(folders: Folders, place: str, optimizer: str, start: float, **more: Any) -> None:
    for seed, score in scores(start).items():
        folders.write(f"{place}/{optimizer}-{seed}", optimizer, seed, score, **more)


def reached(step: int | None, seconds: float | None = None) -> dict[str, Any]:
    said = {"metric": "val/accuracy", "value": 0.9, "mode": "max", "step": step}
    return {"target": {**said, "seconds": seconds}}


def test_each_workload_is_compared_by_itself(folders: Folders) -> None:
    for place, more in (("mlp", {}), ("cnn", CNN)):
        write(folders, place, "sgd", 0.8, **more)
        write(folders, place, "adam", 0.7 if more else 0.9, **more)
    found = optbench.compare_workloads(folders.top)
    assert [w.name for w in found.workloads] == ["mlp on digits", "cnn on digits"]
    assert [w.compared.best for w in found.workloads] == ["adam", "sgd"]
    assert [set(w.records) for w in found.workloads] == [{"sgd", "adam"}] * 2
    assert found.across is not None
    assert found.across.beaten.arms["adam"].value == 0.5
    assert found.across.without == {
        "mlp on digits": ["sgd", "adam"],
        "cnn on digits": ["adam", "sgd"],
    }
    assert said_across(found.across)[0].startswith("nobody is ahead: ")
    with pytest.raises(UserError, match="runs of different workloads: mlp on digits, cnn on dig"):
        optbench.compare(folders.top)


def test_a_workload_of_one_arm_is_left_out(folders: Folders) -> None:
    write(folders, "mlp", "sgd", 0.8)
    write(folders, "mlp", "adam", 0.9)
    write(folders, "cnn", "sgd", 0.8, **CNN)
    found = optbench.compare_workloads(folders.top)
    assert [w.name for w in found.workloads] == ["mlp on digits"] and found.across is None
    assert found.warnings == ("left out: cnn on digits: its 8 runs are of one arm",)
    assert optbench.compare(folders.top).warnings[0] == found.warnings[0]


def test_who_leads_everywhere_is_ahead_whatever_is_left_out(folders: Folders) -> None:
    for place, more in (("mlp", {}), ("cnn", CNN), ("linear", LR)):
        write(folders, place, "sgd", 0.8, **more, **reached(100))
        write(folders, place, "adam", 0.9, **more, **reached(50))
        write(folders, place, "lion", 0.7, **more, **reached(None))
    found = optbench.compare_workloads(folders.top)
    assert found.across is not None and found.across.profiles is not None
    assert said_across(found.across) == ["adam is ahead whichever workload is left out"]
    _, rows = rows_across(found.across)
    assert [row[:2] for row in rows] == [
        ["adam", "100 % (100 to 100)"],
        ["sgd", "50 % (50 to 50)"],
        ["lion", "0 % (0 to 0)"],
    ]
    assert [row[2:] for row in rows] == [["1.00", "1.00"], ["0.50", "0.67"], ["0.00", "0.00"]]


def test_a_run_that_failed_beats_nobody(folders: Folders) -> None:
    for place, more in (("mlp", {}), ("cnn", CNN)):
        write(folders, place, "sgd", 0.8, **more)
        for seed in SEEDS:
            folders.write(f"{place}/x-{seed}", "adam", seed, None, state="diverged", **more)
    found = optbench.compare_workloads(folders.top)
    assert found.across is not None and found.across.beaten.arms["sgd"].value == 1.0
    assert found.workloads[0].failures["adam"].low == pytest.approx(0.6756, abs=1e-4)
    assert beside(found.workloads[0])[1:] == [
        "failed, with Wilson's interval (95 %): sgd 0 % (0 to 32), adam 100 % (68 to 100)"
    ]


def only(folders: Folders, **more: Any) -> Workload:
    return optbench.compare_workloads(folders.top, **more).workloads[0]


def test_times_to_target_are_compared_by_ranks(folders: Folders) -> None:
    """A run that reached it and diverged afterwards is a miss, whatever it said before."""
    stats = pytest.importorskip("scipy.stats")
    took: dict[str, list[int | None]] = {
        "adam": [40, 50, 60, 70, 80, 90, 30, 20],
        "sgd": [100, 110, 120, 130, None, 150, 160, 170],
    }
    for name, steps in took.items():
        for seed, step in enumerate(steps):
            folders.write(f"{name}-{seed}", name, seed, 0.9, **reached(step, 0.5))
    diverged = folders.write("adam-8", "adam", 8, 0.9, state="diverged", **reached(10))
    folders.write("sgd-8", "sgd", 8, 0.9, **reached(180))
    times = only(folders).times
    assert times is not None and times.target.metric == "val/accuracy"
    assert (times.missed("adam"), times.missed("sgd")) == (1, 1)
    assert times.times["adam"][8, ""] is None and diverged.exists()
    verdict = times.verdicts[0]
    worst = 1000
    first = [*took["adam"], worst]
    second = [worst if t is None else t for t in took["sgd"]] + [180]
    exact = stats.permutation_test(
        (first, second),
        lambda x, y: stats.rankdata([*x, *y])[: len(x)].sum(),
        permutation_type="independent",
        vectorized=False,
        n_resamples=10**6,
    )
    assert verdict.p == pytest.approx(exact.pvalue, abs=1e-9)
    assert verdict.medians == (60, 150)
    assert times.sentences[0] == (
        "adam reaches val/accuracy 0.9 sooner than sgd: median 60 steps, 1 of 9 missed against "
        f"median 150 steps, 1 of 9 missed (p = {exact.pvalue:.2g})"
    )
    data = stats.CensoredData(uncensored=[t for t in second if t < 1000], right=[420])
    curve = stats.ecdf(data).sf
    assert times.curves["sgd"].share == pytest.approx(tuple(curve.probabilities))
    assert times.curves["adam"].share[-1] == pytest.approx(1 / 9)  # it never would have arrived
    assert only(folders, axis="seconds").times.verdicts[0].p > 0.5  # type: ignore[union-attr]


def test_without_one_target_there_are_no_times(folders: Folders) -> None:
    folders.arm("sgd", scores(0.8), settings={"target": None})
    folders.arm("adam", scores(0.9), **reached(10))
    assert only(folders).target is None and only(folders).times is None
    with pytest.raises(UserError, match="axis=epochs: expected steps or seconds"):
        optbench.compare_workloads(folders.top, axis="epochs")


def test_where_nobody_arrives_that_is_said(folders: Folders) -> None:
    folders.arm("sgd", scores(0.8))
    folders.arm("adam", scores(0.9))
    times = only(folders).times
    assert times is not None and not times.verdicts
    assert times.sentences == ("no run reached val/accuracy 0.9",)


def benchmark(
    folders: Folders, arms: Mapping[str, Mapping[str, list[str]]], name: str = "digits"
) -> RunDir:
    """Write a benchmark's report over runs that are there; by family, arm: names of runs."""
    folder = RunDir(folders.top)
    (folder.path / "benchmark.yaml").write_text("x: 1", encoding="utf-8")
    told = {
        family: [
            {"optimizer": arm, "values": {"optimizer.lr": 0.5}, "runs": [{"run": r} for r in runs]}
            for arm, runs in of_family.items()
        ]
        for family, of_family in arms.items()
    }
    folder.write_json(
        "report.json", {"workloads": [{"name": name, "warnings": ["an edge"], **told}]}
    )
    return folder


def planned(folders: Folders) -> dict[str, dict[str, list[str]]]:
    """Runs of a benchmark: adam's defaults were chosen, sgd's lr was not its default."""
    write(folders, "runs", "adam", 0.9)
    for seed, score in scores(0.8).items():
        folders.write(f"runs/sgd-{seed}", "sgd", seed, score, {"optimizer.lr": 0.5})
        folders.write(f"runs/slow-{seed}", "sgd", seed, (score or 0) - 0.1)
    names = {arm: [f"{arm}-{seed}" for seed in SEEDS] for arm in ("adam", "sgd", "slow")}
    return {
        "tuned": {"adam": names["adam"], "mine": names["sgd"]},
        "defaults": {"adam": names["adam"], "mine": names["slow"]},
    }


def test_a_benchmarks_arms_are_its_optimizers(folders: Folders) -> None:
    benchmark(folders, planned(folders))
    found = only(folders)
    assert found.name == "digits"
    assert [arm.name for arm in found.compared.arms] == ["adam", "mine"]
    assert found.compared.arm("mine").settings == {"optimizer": "mine", "optimizer.lr": 0.5}
    assert found.compared.warnings == ("an edge",)
    assert len(found.compared.verdicts) == 1
    assert found.defaults is not None
    difference = found.defaults.verdicts[0].difference
    assert difference == pytest.approx(0.2)


def test_defaults_that_were_chosen_are_not_told_twice(folders: Folders) -> None:
    arms = planned(folders)
    benchmark(folders, {"tuned": arms["tuned"], "defaults": arms["tuned"]})
    assert only(folders).defaults is None


def test_a_run_beside_a_benchmark_is_an_arm_that_was_not_tuned_as_its_are(folders: Folders) -> None:
    benchmark(folders, planned(folders))
    write(folders, "others", "lion", 0.85)
    found = only(folders)
    assert [arm.name for arm in found.compared.arms] == ["adam", "lion", "mine"]
    unequal = "unequal tuning: adam, mine had the same trials in a benchmark, lion had none of them"
    assert unequal in found.compared.warnings


@pytest.mark.parametrize(
    "damaged",
    [
        "",
        "[]",
        '{"workloads": 3}',
        '{"workloads": [3, {"name": 4}, {"name": "x", "tuned": 5}]}',
        '{"workloads": [{"name": "x", "tuned": [{"optimizer": "a", "values": 3, "runs": [7]}]}]}',
        '{"workloads": [{"name": "", "tuned": [{"optimizer": "", "runs": [{"run": "../x"}]}]}]}',
    ],
)
def test_a_report_may_be_anybodys(folders: Folders, damaged: str) -> None:
    benchmark(folders, planned(folders))
    (folders.top / "report.json").write_text(damaged, encoding="utf-8")
    assert len(only(folders).compared.arms) == 3


def test_all_of_it_is_strict_json_and_csv(folders: Folders) -> None:
    for place, more in (("mlp", {}), ("cnn", CNN)):
        write(folders, place, "sgd", 0.8, **more, **reached(100))
        write(folders, place, "adam", 0.9, **more, **reached(None))
    found = optbench.compare_workloads(folders.top)
    said = json.loads(as_json(found), parse_constant=pytest.fail)
    assert said["workloads"][0]["times"]["arms"][1]["median"] in (100, "Infinity")
    assert said["across"]["beaten"]["runs"] == 16
    lines = as_csv(found).splitlines()
    assert len(lines) == 5 and lines[1].startswith("mlp on digits,test/accuracy,adam,8,0,")
    assert not math.isnan(found.across.beaten.arms["sgd"].low)  # type: ignore[union-attr]


def test_a_short_script_with_scipy_alone_finds_the_same_numbers(folders: Folders) -> None:
    """Means, intervals, p, Holm, Kaplan-Meier, the profile: to 1e-9."""
    pytest.importorskip("scipy")
    drawn = Random(3)
    for place, more in (("mlp", {}), ("cnn", CNN), ("linear", LR)):
        for arm, start in (("sgd", 0.8), ("adam", 0.83), ("lion", 0.81)):
            for seed in range(9):
                step = drawn.choice([None, *range(40, 200)]) if arm != "lion" else seed + 30
                score = round(360 * (start + drawn.gauss(0, 0.005))) / 360  # with ties
                lost = {"state": "diverged"} if (place, arm, seed) == ("cnn", "sgd", 3) else {}
                said = {**more, **reached(step), **lost}
                folders.write(f"{place}/{arm}{seed}", arm, seed, score, **said)
    told = as_json(optbench.compare_workloads(folders.top))
    script = Path(__file__).with_name("recomputed.py")
    done = subprocess.run(
        [sys.executable, str(script)], input=told, capture_output=True, encoding="utf-8",
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [lines.count(f"same {name}") for name in ("mean", "pair", "Holm", "Kaplan-Meier")] == [
        9, 9, 3, 9
    ] and lines.count("same profile") == 3  # fmt: skip


def test_workloads_that_differ_in_much_have_names_of_their_own(folders: Folders) -> None:
    keys = ["a", "b", "c", "d"]
    for place in range(3):
        settings = {f"dataset.{key}": 0 for key in keys} | {"dataset.d": place}
        write(folders, f"{place}", "sgd", 0.8, settings=settings)
        write(folders, f"{place}", "adam", 0.9, settings=settings)
    names = [w.name for w in optbench.compare_workloads(folders.top).workloads]
    assert len(set(names)) == 3


def test_workloads_of_a_benchmark_are_two_though_their_settings_are_one(folders: Folders) -> None:
    told = []
    for name, epochs, best in (("short", 5, "sgd"), ("long", 20, "adam")):
        arms = []
        for arm in ("sgd", "adam"):
            start = 0.9 if arm == best else 0.8
            write(folders, f"runs/{name}", arm, start, settings={"epochs": epochs})
            for seed in SEEDS:
                (folders.top / "runs" / name / f"{arm}-{seed}").rename(
                    folders.top / "runs" / f"{name}-{arm}-{seed}"
                )
            runs = [{"run": f"{name}-{arm}-{seed}"} for seed in SEEDS]
            arms.append({"optimizer": arm, "values": {}, "runs": runs})
        told.append({"name": name, "tuned": arms})
    (folders.top / "benchmark.yaml").write_text("x: 1", encoding="utf-8")
    RunDir(folders.top).write_json("report.json", {"workloads": told})
    found = optbench.compare_workloads(folders.top)
    assert {w.name: w.compared.best for w in found.workloads} == {"short": "sgd", "long": "adam"}
    assert found.warnings == ()


def test_runs_that_a_report_does_not_know_are_left_out(folders: Folders) -> None:
    arms = planned(folders)
    few = {family: {arm: runs[:6] for arm, runs in of.items()} for family, of in arms.items()}
    benchmark(folders, few)
    found = optbench.compare_workloads(folders.top)
    assert [len(arm.scores) for arm in found.workloads[0].compared.arms] == [6, 6]
    (line,) = found.warnings
    assert line.startswith("left out: 6 runs of") and "its report says nothing" in line


def test_a_report_names_its_own_runs_alone(folders: Folders, tmp_path: Path) -> None:
    arms = planned(folders)
    for family in arms.values():
        for runs in family.values():
            runs[:] = [str(folders.top / "runs" / run) for run in runs]
    benchmark(folders, arms)
    assert len(only(folders).compared.arms) == 3  # as if there were no report


def test_a_config_that_was_edited_is_left_out(folders: Folders) -> None:
    write(folders, "a", "sgd", 0.8, status={"config": ["own"]})
    write(folders, "a", "adam", 0.9, status={"config": ["own"]})
    config = folders.top / "a" / "adam-0" / "config.yaml"
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace("lr: 0.1", "lr: 0.3"), encoding="utf-8")
    found = optbench.compare_workloads(folders.top)
    assert found.warnings[0].endswith(
        "adam-0: its config.yaml is not the one that it was begun with"
    )


def test_a_dead_workload_is_left_out_with_its_reason(folders: Folders) -> None:
    for place, more in (("mlp", {}), ("cnn", CNN)):
        for arm, start in (("sgd", 0.8), ("adam", 0.9)):
            dead = {"final": {"test/accuracy": math.nan}} if more else {}
            write(folders, place, arm, start, **more, **dead)
    found = optbench.compare_workloads(folders.top)
    assert [w.name for w in found.workloads] == ["mlp on digits"]
    (left,) = found.left
    assert left.name == "cnn on digits" and len(left.records) == 16
    assert left.reason == "test/accuracy is a number of no run: all are NaN or infinite"
    with pytest.raises(UserError, match="baseline=lion: no such arm"):
        optbench.compare_workloads(folders.top / "mlp", baseline="lion")


def test_three_wins_of_four_are_three_quarters(folders: Folders) -> None:
    for place, more in (("mlp", {}), ("cnn", CNN)):
        for seed in SEEDS:
            for arm, score in (("sgd", 0.8), ("adam", 0.9 if seed % 4 == 0 else 0.7)):
                folders.write(f"{place}/{arm}{seed}", arm, seed, score, **more)
    found = optbench.compare_workloads(folders.top).across
    assert found is not None and found.beaten.arms["sgd"].value == 0.75
    assert found.beaten.differences["sgd", "adam"].value == 0.5


def test_scores_of_all_workloads_are_on_one_scale(folders: Folders) -> None:
    stats = pytest.importorskip("scipy.stats")
    for place, size, more in (("mlp", 1.0, {}), ("cnn", 1000.0, CNN)):
        for arm, start in (("sgd", 0.0), ("adam", 1.0), ("lion", 0.75)):
            for seed in SEEDS:
                loss = size * (start + 0.01 * (seed % 3))
                final = {"val/loss": loss}
                folders.write(f"{place}/{arm}{seed}", arm, seed, None, final=final, **more)
    found = optbench.compare_workloads(folders.top, metric="val/loss").across
    assert found is not None
    lion = [0.25 + 0.01 * (sum(s % 3 for s in SEEDS) / 8 - seed % 3) for seed in SEEDS]
    expected = stats.trim_mean([*lion, *lion], 0.25)
    assert found.scores.arms["lion"].value == pytest.approx(expected, abs=1e-12)
