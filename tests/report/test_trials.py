"""What so many trials are expected to find, as a page has it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from comparison.folders import Folders

from optbench.report.gather import gather

pytest.importorskip("scipy")
LRS = (0.1, 0.2, 0.3)
PRUNED = {"state": "stopped_early", "status": {"message": "pruned at step 20"}}


def study(folder: Path, sampler: str | None = "random", file: str = "study.yaml") -> Folders:
    """Make a folder a study's; return what writes its runs."""
    folders = Folders(folder)
    folder.mkdir(parents=True)
    named = "" if sampler is None else f"sampler: {sampler}\n"
    text = f"{named}space: {{search: {{optimizer.lr: 1}}}}\n"
    (folder / file).write_text(text, encoding="utf-8")
    return folders


def tried(folders: Folders, scores: dict[str, float | None], **more: Any) -> None:
    """Write a run a trial, each with its own learning rate."""
    for place, (name, score) in enumerate(scores.items()):
        state = {"state": "diverged"} if score is None else {}
        lr = {"optimizer.lr": 0.1 * (place + 1)}
        folders.write(name, "sgd", 0, score, settings=lr, **{**state, **more})


def found(top: Path) -> dict[str, Any]:
    (workload,) = gather(top)["page"]["workloads"]
    assert not workload["refused"]
    return workload


@pytest.mark.parametrize("name", ["{place}-{seed}", "lr{place}seed{seed}"])
def test_runs_of_several_seeds_are_one_trial(tmp_path: Path, name: str) -> None:
    folders = study(tmp_path / "study")
    for place, score in enumerate((0.7, 0.9, 0.8)):
        for seed in range(3):
            path = name.format(place=place, seed=seed)
            lr = {"optimizer.lr": LRS[place]}
            folders.write(path, "sgd", seed, score + (seed - 1) / 100, settings=lr)
    (line,) = found(tmp_path)["trials"]
    assert line["n"] == [1, 2, 3] and line["expected"] == [0.8, 0.8667, 0.9]


def test_a_trial_is_over_when_all_its_seeds_are(tmp_path: Path) -> None:
    folders = study(tmp_path / "study")
    for place, score in enumerate((0.7, 0.9, 0.8, 0.99)):
        for seed in range(2):
            how: dict[str, Any] = {"settings": {"optimizer.lr": 0.1 * (place + 1)}}
            if place == 3 and seed == 1:
                how["state"] = "running"
            folders.write(f"{place}-{seed}", "sgd", seed, score, **how)
    workload = found(tmp_path)
    assert workload["trials"][0]["expected"][-1] == 0.9
    assert workload["trials_left"] == ["sgd: 1 of 4 trials have not ended as they were begun"]


def test_trials_that_were_given_up_or_failed_are_as_bad_as_the_worst(tmp_path: Path) -> None:
    folders = study(tmp_path / "study")
    tried(folders, {"0": 0.7, "1": 0.9, "2": None})
    folders.write("3", "sgd", 0, 0.99, settings={"optimizer.lr": 4.0}, **PRUNED)
    folders.write("4", "sgd", 0, 0.99, settings={"optimizer.lr": 5.0}, state="preempted")
    page = gather(tmp_path)["page"]
    (line,) = page["workloads"][0]["trials"]
    assert line["n"] == [1, 2, 3, 4] and line["expected"][0] == pytest.approx(0.75)
    rows = {row["id"]: row["trial"] for row in page["runs"]}
    assert rows == {"0": True, "1": True, "2": True, "3": True, "4": False}


@pytest.mark.parametrize(
    ("sampler", "file", "said"),
    [
        ("tpe", "study.yaml", "trials of sampler=tpe depend on earlier ones"),
        ("cmaes", "study.yaml", "trials of sampler=cmaes depend on earlier ones"),
        ("gp", "study.yaml", "trials of sampler=gp depend on earlier ones"),
        (None, "study.yaml", "nobody knows whether its trials depend on earlier ones"),
        ("random", "population.yaml", "members of pbt go on from one another"),
    ],
)
def test_trials_that_depend_on_earlier_ones_are_left_out(
    tmp_path: Path, sampler: str | None, file: str, said: str
) -> None:
    tried(study(tmp_path / "study", sampler, file), {"0": 0.7, "1": 0.9, "2": 0.8})
    workload = found(tmp_path)
    assert workload["trials"] == []
    assert [line.partition(": ")[0] for line in workload["trials_left"]] == ["study"]
    assert said in workload["trials_left"][0]


@pytest.mark.parametrize("sampler", ["random", "qmc", "grid"])
def test_independent_ones_are_shown(tmp_path: Path, sampler: str) -> None:
    tried(study(tmp_path / "study", sampler), {"0": 0.7, "1": 0.9, "2": 0.8})
    assert len(found(tmp_path)["trials"]) == 1


def test_studies_of_one_basename_are_two(tmp_path: Path) -> None:
    for place, score in (("a", 0.5), ("b", 0.9)):
        scores: dict[str, float | None] = {"0": score, "1": score + 0.01, "2": score + 0.02}
        tried(study(tmp_path / place / "study"), scores)
    lines = {line["name"]: line for line in found(tmp_path)["trials"]}
    assert list(lines) == ["sgd (a/study)", "sgd (b/study)"]
    assert [line["n"][-1] for line in lines.values()] == [3, 3]
    assert lines["sgd (b/study)"]["expected"][-1] == 0.92


def test_a_trial_that_a_resume_made_another_is_none(tmp_path: Path) -> None:
    folders = study(tmp_path / "study")
    tried(folders, {"0": 0.7, "1": 0.9, "2": 0.8})
    log = "12:00:00 changed: optimizer.lr=4.0 (was 0.1)\n"
    folders.write("3", "sgd", 0, 0.99, settings={"optimizer.lr": 4.0}, log=log)
    workload = found(tmp_path)
    assert workload["trials"][0]["expected"][-1] == 0.9
    assert workload["trials_left"] == ["sgd: 1 of 4 trials have not ended as they were begun"]


def benchmark(
    top: Path, arms: tuple[str, ...] = ("mine", "other"), workloads: tuple[str, ...] = ("digits",)
) -> Folders:
    """Write a benchmark of two optimizers of one choice, three trials each, and its report."""
    folders = Folders(top)
    said = [_planned(folders, arms, workload) for workload in workloads]
    (top / "benchmark.yaml").write_text("x: 1\n", encoding="utf-8")
    (top / "report.json").write_text(json.dumps({"workloads": said}), encoding="utf-8")
    return folders


def _planned(folders: Folders, arms: tuple[str, ...], workload: str) -> dict[str, Any]:
    start = "" if workload == "digits" else f"{workload}-"
    report: dict[str, Any] = {"trials": {}, "expected_best": {}, "tuned": [], "defaults": []}
    for place, arm in enumerate(arms):
        trials = []
        of_it = {"optimizer._target_": f"my.{arm}"}
        for number in range(3):
            settings = {"optimizer.lr": LRS[number], "eval": {"test": False}, **of_it}
            final = {"val/accuracy": 0.5 + number / 10}
            name = f"{start}{arm}-trial-{number}"
            how: dict[str, Any] = {"settings": settings, "final": final}
            folders.write(f"runs/{name}", "custom", 100, None, **how)
            trials.append({"run": name, "values": {}, "score": final["val/accuracy"]})
        report["trials"][arm] = trials
        report["expected_best"][arm] = [0.5, 0.65 + place / 10, 0.7 + place / 10]
        for family, lr, worse in (("tuned", 0.3, 0.0), ("defaults", 0.1, 0.2)):
            names = [f"{start}{arm}-{family}-{seed}" for seed in range(6)]
            for seed, name in enumerate(names):
                score = 0.7 + place / 10 + seed / 1000 - worse
                settings = {"optimizer.lr": lr, **of_it}
                folders.write(f"runs/{name}", "custom", seed, score, settings=settings)
            values = {"optimizer.lr": lr} if family == "tuned" else {}
            runs = [{"run": name} for name in names]
            report[family].append({"optimizer": arm, "values": values, "runs": runs})
    return {
        **{"name": workload, "chosen_by": "val/accuracy", "mode": "max", "warnings": []},
        **report,
    }


def test_of_a_benchmark_it_is_what_its_report_says(tmp_path: Path) -> None:
    benchmark(tmp_path)
    one, other = found(tmp_path)["trials"]
    assert (one["name"], one["expected"]) == ("mine", [0.5, 0.65, 0.7])
    assert (other["name"], other["expected"]) == ("other", [0.5, 0.75, 0.8])
    assert one["metric"] == "val/accuracy" and one["low"] is None


def test_all_are_of_one_metric(tmp_path: Path) -> None:
    benchmark(tmp_path / "bench")
    tried(study(tmp_path / "study"), {"0": 0.7, "1": 0.9, "2": 0.8})
    lines = found(tmp_path)["trials"]
    assert [line["name"] for line in lines] == ["mine (bench)", "other (bench)", "sgd (study)"]
    assert {line["metric"] for line in lines} == {"val/accuracy"}
    assert lines[2]["expected"][-1] == 0.89  # its validation's


@pytest.mark.parametrize(
    "damaged",
    ["", "[]", '{"workloads": [{"trials": {"mine": [3, {"run": 4}]}, "expected_best": {"a": 1}}]}'],
)
def test_a_report_may_be_anybodys(tmp_path: Path, damaged: str) -> None:
    benchmark(tmp_path)
    (tmp_path / "report.json").write_text(damaged, encoding="utf-8")
    workload = found(tmp_path)
    assert workload["trials"] == []
    said = "its report says nothing of its trials yet"
    assert [line.partition(": ")[2] for line in workload["trials_left"]] == [said]


def test_contenders_of_one_choice_are_told_by_their_names(tmp_path: Path) -> None:
    benchmark(tmp_path)
    page = gather(tmp_path)["page"]
    workload = page["workloads"][0]
    assert [arm["optimizer"] for arm in workload["arms"]] == ["other", "mine"]
    assert sorted(line["kind"] for line in workload["lr"]) == ["mine", "other"]
    assert {line["metric"] for line in workload["lr"]} == {"val/accuracy"}
    rows = {row["id"]: row["optimizer"] for row in page["runs"]}
    assert rows["mine-trial-0"] == "mine" and rows["other-tuned-0"] == "other"


def test_all_rates_are_of_one_metric(tmp_path: Path) -> None:
    folders = benchmark(tmp_path)  # whose trials leave the test set alone
    for place, lr in enumerate(LRS):
        folders.write(f"lion-{place}", "lion", 0, 0.6, settings={"optimizer.lr": lr})
    lines = found(tmp_path)["lr"]
    metrics = {line["kind"]: line["metric"] for line in lines}
    assert metrics == dict.fromkeys(["mine", "other", "lion"], "val/accuracy")
    lion = next(line for line in lines if line["kind"] == "lion")
    assert lion["points"][0][1] == 0.59


def test_the_place_at_the_defaults_is_the_benchmarks(tmp_path: Path) -> None:
    folders = benchmark(tmp_path)
    failed = {"state": "diverged", "final": {}}
    for seed in range(3):  # the better one fails at half of its seeds
        shutil.rmtree(tmp_path / "runs" / f"other-defaults-{seed}")
        how = {"optimizer.lr": 0.1, "optimizer._target_": "my.other"}
        folders.write(f"runs/other-defaults-{seed}", "custom", seed, None, settings=how, **failed)
    arms = {arm["name"]: arm["defaults"] for arm in found(tmp_path)["arms"]}
    assert arms["other"]["mean"] > arms["mine"]["mean"]
    assert (arms["mine"]["place"], arms["other"]["place"]) == (1, 2)


def test_what_is_said_against_the_defaults_comparison_is_shown(tmp_path: Path) -> None:
    folders = benchmark(tmp_path)
    shutil.rmtree(tmp_path / "runs" / "mine-defaults-0")
    how = {"optimizer.lr": 0.1, "optimizer._target_": "my.mine", "precision.name": "bf16"}
    folders.write("runs/mine-defaults-0", "custom", 0, 0.6, settings=how)
    lines = found(tmp_path)["warnings"]
    assert any(line.startswith("at their defaults: different precision") for line in lines)


def test_workloads_of_one_model_and_data_set_have_their_own_trials(tmp_path: Path) -> None:
    benchmark(tmp_path, workloads=("short", "long"))
    workloads = gather(tmp_path)["page"]["workloads"]
    assert [each["name"] for each in workloads] == ["short", "long"]
    assert [each["runs"] for each in workloads] == [30, 30]
    assert [len(each["trials"]) for each in workloads] == [2, 2]


def test_a_run_of_two_workloads_is_in_both(tmp_path: Path) -> None:
    benchmark(tmp_path)
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    (said,) = report["workloads"]
    other = json.dumps({"workloads": [said, {**said, "name": "again"}]})
    (tmp_path / "report.json").write_text(other, encoding="utf-8")
    gathered = gather(tmp_path)
    workloads = gathered["page"]["workloads"]
    assert [each["name"] for each in workloads] == ["again", "digits"]
    assert [len(each["arms"]) for each in workloads] == [2, 2]
    assert len(gathered["configs"]["own"]) == len(gathered["page"]["runs"]) == 60


def test_a_run_that_the_report_does_not_know_is_no_rate(tmp_path: Path) -> None:
    folders = benchmark(tmp_path)
    settings = {"optimizer.lr": 9.0, "optimizer._target_": "my.mine"}
    folders.write("runs/left", "custom", 0, 0.99, settings=settings)
    rates = {line["kind"]: line["points"] for line in found(tmp_path)["lr"]}
    assert [point[0] for point in rates["mine"]] == list(LRS)
