"""Runs compared from synthetic folders: arms, numbers, what is left out."""

from __future__ import annotations

import itertools
import json
import math
import re
from pathlib import Path
from typing import Any

import pytest

import optbench
from optbench.comparison.formats import as_csv, as_json, as_latex
from optbench.comparison.told import rows_of
from optbench.errors import UserError

from .folders import Folders

SGD = [0.9181, 0.9175, 0.9196, 0.9187, 0.9160, 0.9191, 0.9189, 0.9164, 0.9193, 0.9170]
ADAM = [0.9212, 0.9188, 0.9240, 0.9203, 0.9225, 0.9197, 0.9231, 0.9209, 0.9216, 0.9222]
LION = [0.9207, 0.9195, 0.9229, 0.9214, 0.9211, 0.9190, 0.9236, 0.9212, 0.9205, 0.9217]


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders(tmp_path / "runs")


def by_seed(values: list[float]) -> dict[int, float | None]:
    return dict(enumerate(values))


def test_arms_are_what_differs_and_pairs_are_seeds(folders: Folders) -> None:
    folders.arm("sgd", by_seed(SGD))
    folders.arm("adam", by_seed(ADAM))
    found = optbench.compare(folders.top)
    assert [arm.name for arm in found.arms] == ["adam", "sgd"]
    assert (found.metric, found.mode, found.best) == ("test/accuracy", "max", "adam")
    assert [pair.seed for pair in found.pairs] == list(range(10))
    assert found.sentences[0] == "adam is the best of 2 arms"
    assert found.sentences[1].startswith("adam beats sgd by 0.34 points (95 %: 0.2")
    assert found.warnings == ()


def test_settings_are_named_where_the_choice_does_not_tell(folders: Folders) -> None:
    for lr, score in ((0.1, 0.9), (0.01, 0.8)):
        settings = {"optimizer.lr": lr, "notes": f"{lr}", "checkpoint.best": None}
        folders.write(f"sgd-{lr}", "sgd", 0, score, settings)
    folders.write("adam", "adam", 0, 0.7, {"optimizer.lr": 0.001})
    names = [arm.name for arm in optbench.compare(folders.top).arms]
    assert names == ["sgd lr=0.1", "sgd lr=0.01", "adam"]
    arms = optbench.compare(folders.top).arms
    assert arms[2].settings == {"optimizer": "adam", "optimizer.lr": 0.001}


def test_numbers_are_short_where_that_tells_them_apart(folders: Folders) -> None:
    for i, lr in enumerate((0.062083740791420566, 0.030389675848179327)):
        folders.write(f"{i}", "sgd", 0, 0.9 - i, {"optimizer.lr": lr})
    found = optbench.compare(folders.top)
    assert [arm.name for arm in found.arms] == ["lr=0.06208", "lr=0.03039"]
    assert found.arms[0].settings == {"optimizer.lr": 0.062083740791420566}


def test_one_and_one_point_nought_are_one_value(folders: Folders) -> None:
    for i, lr in enumerate((1, 1.0)):
        folders.write(f"sgd-{i}", "sgd", i, 0.9, {"optimizer.lr": lr})
    with pytest.raises(UserError, match="2 runs differ in nothing that could be compared"):
        optbench.compare(folders.top)


def test_classes_of_ones_own_are_arms_though_the_choice_is_one(folders: Folders) -> None:
    for name in ("Mine", "Other"):
        folders.write(name, "custom", 0, 0.9, {"optimizer._target_": f"my.{name}"})
    names = {arm.name for arm in optbench.compare(folders.top).arms}
    assert names == {"_target_=my.Mine", "_target_=my.Other"}


def test_lengths_are_arms_where_nothing_else_differs(folders: Folders) -> None:
    for epochs in (10, 20):
        for seed in (0, 1):
            settings = {"epochs": epochs}
            name = f"{epochs}-{seed}"
            folders.write(name, "sgd", seed, 0.9 + seed / 50, settings, step=21 * epochs)
    found = optbench.compare(folders.top)
    assert {arm.name for arm in found.arms} == {"epochs=10", "epochs=20"}
    assert any(line.startswith("unequal budgets") for line in found.warnings)


def flipped(stats: Any, differences: list[float]) -> Any:
    """The exact sign-flip test, as scipy has it."""

    def mean(x: Any, axis: int) -> Any:
        return x.mean(axis=axis)

    kind = {"permutation_type": "samples", "n_resamples": math.inf}
    return stats.permutation_test((differences,), mean, **kind)


def test_every_number_is_scipys(folders: Folders) -> None:
    """Means, sds, differences, sign-flip p, Holm, Wilcoxon; the interval inverts the test."""
    stats = pytest.importorskip("scipy.stats")
    given = {"adam": ADAM, "lion": LION, "sgd": SGD}
    for name, values in given.items():
        folders.arm(name, by_seed(values))
    said = json.loads(as_json(optbench.compare_workloads(folders.top)))["workloads"][0]
    arms = {arm["name"]: arm for arm in said["arms"]}
    verdicts = {(v["first"], v["second"]): v for v in said["verdicts"]}
    p_of = {}
    for (one, other), verdict in verdicts.items():
        pairs = [p for p in said["pairs"] if (p["first"], p["second"]) == (one, other)]
        differences = [given[one][p["seed"]] - given[other][p["seed"]] for p in pairs]
        assert [p["difference"] for p in pairs] == pytest.approx(differences, abs=1e-12)
        assert verdict["difference"] == pytest.approx(sum(differences) / 10, abs=1e-12)
        whole = [round(10_000 * d) for d in differences]  # so that equal sums are equal
        test = flipped(stats, whole)
        p_of[one, other] = test.pvalue
        assert verdict["p"] == pytest.approx(test.pvalue, abs=1e-9)
        for end in (verdict["low"], verdict["high"]):
            for shift, rejected in ((1e-7, False), (-1e-7, True)):
                inwards = shift if end == verdict["low"] else -shift
                moved = [d - (end + inwards) for d in differences]
                assert (flipped(stats, moved).pvalue <= 0.05) == rejected
        wilcoxon = stats.wilcoxon(differences, method=stats.PermutationMethod(n_resamples=1024))
        assert verdict["p_wilcoxon"] == pytest.approx(wilcoxon.pvalue, abs=1e-9)
    ordered = sorted(p_of, key=p_of.__getitem__)
    steps = [(3 - i) * p_of[pair] for i, pair in enumerate(ordered)]
    holm = dict(zip(ordered, itertools.accumulate(steps, max), strict=True))
    for pair, adjusted in holm.items():
        assert verdicts[pair]["p_adjusted"] == pytest.approx(min(1, adjusted), abs=1e-9)
    for name, values in given.items():
        assert arms[name]["mean"] == pytest.approx(stats.tmean(values), abs=1e-12)
        assert arms[name]["sd"] == pytest.approx(stats.tstd(values), abs=1e-12)


def test_a_run_that_failed_diverged_or_says_nan_is_a_failure(folders: Folders) -> None:
    folders.arm("sgd", by_seed(SGD[:6]))
    folders.arm("adam", by_seed(ADAM[:3]))
    folders.write("diverged", "adam", 3, 0.99, state="diverged")
    folders.write("failed", "adam", 4, 0.99, state="failed")
    folders.write("nan", "adam", 5, math.nan)
    found = optbench.compare(folders.top)
    assert found.arm("adam").failed == 3 and len(found.arm("adam").finished) == 3
    assert "adam failed at 3 of 6 seeds" in found.sentences
    assert [row[-1] for row in rows_of(found)[1]] == ["", "3 of 6"] and found.best == "sgd"


def test_what_has_not_ended_is_left_out_and_said(folders: Folders) -> None:
    folders.arm("sgd", by_seed(SGD[:2]))
    folders.arm("adam", by_seed(ADAM[:2]))
    folders.write("going", "adam", 2, 0.99, state="running", environment={"host": "elsewhere"})
    folders.write("stopped", "adam", 3, 0.99, state="preempted")
    folders.write("full", "adam", 4, 0.99, state="failed", status={"machines": True})
    (folders.write("half", "adam", 5, 0.99) / "summary.json").unlink()
    (folders.write("torn", "adam", 6, 0.99) / "config.yaml").write_text("a: [", encoding="utf-8")
    (folders.write("unsaid", "adam", 7, 0.99) / "overrides.yaml").write_text("a", encoding="utf-8")
    folders.write("seedless", "adam", 8, 0.99, {"seed": "x"})
    found = optbench.compare(folders.top)
    assert [arm.scores.keys() for arm in found.arms] == [{(0, ""), (1, "")}] * 2
    whys = {Path(line.split(": ")[1]).name: line for line in found.warnings}
    ended = {"going", "stopped", "full", "half"}
    assert whys.keys() == ended | {"torn", "unsaid", "seedless"}
    assert "overrides.yaml" in whys["unsaid"] and "no seed" in whys["seedless"]
    assert "it is still running" in whys["going"] and "optbench resume" in whys["stopped"]
    assert "the machine failed it" in whys["full"] and "summary.json" in whys["half"]
    assert "not YAML" in whys["torn"]


def test_the_test_set_counts_where_all_have_it(folders: Folders) -> None:
    folders.write("sgd", "sgd", 0, 0.9)
    folders.write("adam", "adam", 0, 0.9, final={"val/accuracy": 0.8, "val/loss": 0.5})
    assert optbench.compare(folders.top).metric == "val/accuracy"
    with pytest.raises(UserError, match="metric=test/accuracy: not every run that finished has"):
        optbench.compare(folders.top, metric="test/accuracy")
    with pytest.raises(UserError, match=r"metric=acuracy: .*did you mean accuracy"):
        optbench.compare(folders.top, metric="acuracy")


def test_less_is_better_of_a_loss_and_mode_says_otherwise(folders: Folders) -> None:
    folders.write("sgd", "sgd", 0, None, final={"val/loss": 0.5})
    folders.write("adam", "adam", 0, None, final={"val/loss": 0.6})
    assert optbench.compare(folders.top, metric="loss").best == "sgd"
    assert optbench.compare(folders.top, metric="val/loss", mode="max").best == "adam"
    with pytest.raises(UserError, match="mode=up: expected min or max"):
        optbench.compare(folders.top, metric="loss", mode="up")


def test_a_baseline_counts_its_own_pairs_alone(folders: Folders) -> None:
    for name, values in (("adam", ADAM), ("lion", LION), ("sgd", SGD)):
        folders.arm(name, by_seed(values))
    found = optbench.compare(folders.top, baseline="sgd")
    assert {v.comparisons for v in found.verdicts} == {2} and found.best == "sgd"
    with pytest.raises(UserError, match="baseline=sdg: no such arm; did you mean sgd"):
        optbench.compare(folders.top, baseline="sdg")


def test_other_workloads_are_refused_with_what_differs(folders: Folders) -> None:
    folders.write("sgd", "sgd", 0, 0.9)
    folders.write("adam", "adam", 0, 0.9, {"model.hidden": [8]})
    with pytest.raises(UserError) as error:
        optbench.compare(folders.top)
    assert "different workloads" in str(error.value)
    assert "model.hidden is [100], [8]" in str(error.value)


@pytest.mark.parametrize("score", [math.nan, None])
def test_no_number_anywhere_is_one_line(folders: Folders, score: float | None) -> None:
    for name in ("sgd", "adam"):
        state = "finished" if score is not None else "failed"
        folders.write(name, name, 0, score, state=state)
    with pytest.raises(UserError, match=r"all are NaN|none of 2 runs finished"):
        optbench.compare(folders.top)


def test_a_folder_without_runs_and_one_with_none_that_ended(folders: Folders) -> None:
    folders.top.mkdir()
    with pytest.raises(UserError, match="no runs below"):
        optbench.compare(folders.top)
    folders.write("sgd", "sgd", 0, 0.9, state="preempted")
    with pytest.raises(UserError, match=r"no run has ended .*interrupted"):
        optbench.compare(folders.top)


def test_one_seed_decides_nothing(folders: Folders) -> None:
    folders.arm("sgd", by_seed(SGD[:1]))
    folders.arm("adam", by_seed(ADAM[:1]))
    found = optbench.compare(folders.top)
    assert found.sentences[0] == "1 seed can't decide among 2 arms: 6 is the least"
    assert "anything" in rows_of(found)[1][1][4]


def test_csv_has_full_precision_and_latex_is_escaped(folders: Folders) -> None:
    for lr, values in ((0.1, SGD), (0.01, ADAM)):
        for seed, value in enumerate(values):
            settings = {"optimizer.lr": lr, "optimizer.a_b": f"x&{lr}"}
            folders.write(f"{lr}-{seed}", "sgd", seed, value, settings)
    found = optbench.compare_workloads(folders.top)
    line = as_csv(found).splitlines()[2].split(",")
    assert float(line[5]) == pytest.approx(sum(SGD) / 10, abs=1e-15)
    text = as_latex(found)
    assert r"a\_b=x\&0.1" in text and r"\toprule" in text
    assert not re.search(r"(?<!\\)[&_](?=b|0)", text)


def test_what_others_wrote_is_data(folders: Folders) -> None:
    folders.arm("sgd", by_seed(SGD[:2]))
    folders.write("huge", "sgd", 2, 0.9, {"optimizer.lr": 10**400})
    folders.write("nan", "sgd", 3, 0.9, {"optimizer.lr": math.nan})
    folders.write("text", "sgd", 4, 0.9, {"optimizer.lr": "\x1b[31m"})
    folders.write("none", "sgd", 5, 0.9, {"optimizer": 3})
    (folders.write("link", "sgd", 6, 0.9) / "log.txt").unlink()
    (folders.top / "link" / "log.txt").symlink_to("/etc/hostname")
    folders.write("env", "sgd", 7, 0.9, environment={"git": [1], "versions": 3, "host": {"a": 1}})
    folders.write("budget", "sgd", 8, 0.9, examples=math.nan)
    found = optbench.compare(folders.top)
    assert sum(len(arm.scores) for arm in found.arms) == 9
    json.loads(as_json(optbench.compare_workloads(folders.top)), parse_constant=pytest.fail)


def test_what_was_left_out_stands_beside_what_is_too_little(folders: Folders) -> None:
    folders.write("sgd", "sgd", 0, 0.9)
    (folders.write("adam", "adam", 0, 0.9) / "summary.json").unlink()
    said = r"one run differs in nothing .* \(left out: .*adam: its summary.json is missing or dam"
    with pytest.raises(UserError, match=said):
        optbench.compare(folders.top)


def test_huge_numbers_are_told_by_their_power_of_ten(folders: Folders) -> None:
    for arm, size in (("sgd", 1e40), ("adam", 1.0)):
        for seed in range(6):
            folders.write(f"{arm}{seed}", arm, seed, None, final={"val/loss": size * (1 + seed)})
    found = optbench.compare(folders.top, metric="val/loss")
    row = rows_of(found)[1][1]
    assert row[2].endswith("e+40") and row[4].count("e+40") == 3
    assert all(len(cell) < 40 for cell in row) and all(len(line) < 150 for line in found.sentences)
