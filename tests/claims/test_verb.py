"""`optbench claim`: a user's own claim from its YAML to its verdict, killed, changed, refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import optbench
from optbench.claims.verb import read
from optbench.errors import UserError
from tests.cli.program import call

from .conftest import CLAIM, write

OWN = "--config-dir own"
QUICK = Path("runs/claims/quick")

MEASURE = """
from optbench.claims.measured import Measured


def measure(found, scale=1.0):
    values = {}
    for name, runs in found.groups():
        values[name] = {seed: scale * ran.final("train/loss") for seed, ran in runs.items()}
    return Measured(values, notes=["in other units"])


def wrong(found):
    return 3


class Plain:
    pass
"""


def outcome(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "claim.json").read_text(encoding="utf-8"))
    return found


def test_a_users_own_claim_has_its_verdict_and_its_picture(workplace: Path) -> None:
    answer = call(f"claim tiny {OWN}")
    assert answer.code == 0, answer.err
    assert '[9.9] "A larger lr is faster at first"' in answer.out
    assert "verdict: holds" in answer.out
    said = outcome(QUICK / "tiny")
    assert (said["verdict"], said["runs"], said["seeds"]) == ("holds", 12, [0, 1, 2, 3, 4, 5])
    assert said["p"] == 2 / 2**6 and said["hardware"]["cores"] >= 1
    assert (QUICK / "tiny" / "claim.png").read_bytes()[:4] == b"\x89PNG"
    assert said["command"] == "optbench claim tiny budget=quick"


def test_what_is_done_is_not_done_again(workplace: Path) -> None:
    call(f"claim tiny {OWN}")
    (small,) = QUICK.glob("tiny/small-*")
    before = {path: path.stat().st_mtime_ns for path in small.rglob("metrics.jsonl")}
    lost = small / "3"
    for path in lost.iterdir():  # as if it had been killed at its beginning
        if path.name in ("status.json", "summary.json", "metrics.jsonl"):
            path.unlink()
    (QUICK / "tiny" / "claim.json").unlink()
    assert call(f"claim tiny {OWN}").code == 0
    after = {path: path.stat().st_mtime_ns for path in small.rglob("metrics.jsonl")}
    assert [p.parent.name for p in before if after[p] != before[p]] == ["3"]
    assert outcome(QUICK / "tiny")["verdict"] == "holds"


def test_the_claims_of_a_section_go_by_its_number(workplace: Path) -> None:
    write(workplace / "own" / "claim" / "other.yaml", CLAIM.replace('"9.9"', '["9.8", "9.9"]'))
    assert call(f"claim 9.9 {OWN} --json").code == 0
    assert {path.name for path in QUICK.iterdir()} == {"tiny", "other"}
    assert "9.9] " in call(f"claim 9.8 {OWN}").out


def test_a_claims_folder_is_told_from_a_run(workplace: Path) -> None:
    call(f"claim tiny {OWN}")
    answer = call(f"evaluate {QUICK / 'tiny'}")
    assert answer.code == 2
    said = " ".join(answer.err.split())
    assert (
        "a claim's folder, with which optbench claim tiny budget=quick goes on; the newest" in said
    )


def test_other_seeds_are_other_runs(workplace: Path) -> None:
    call(f"claim tiny {OWN} seed=100 seeds=7")
    (folder,) = QUICK.glob("tiny-*")
    said = outcome(folder)
    assert said["seeds"] == [*range(100, 107)]
    assert said["command"] == "optbench claim tiny budget=quick seeds=7 seed=100"


def test_what_is_published_has_seeds_that_nothing_was_tried_with(workplace: Path) -> None:
    assert call(f"claim tiny {OWN} budget=full").code == 0
    assert outcome(Path("runs/claims/full/tiny"))["seeds"] == [*range(2000, 2008)]


def test_too_few_seeds_decide_nothing_and_it_is_said_what_would(workplace: Path) -> None:
    answer = call(f"claim tiny {OWN} seeds=3")
    assert answer.code == 0
    assert "verdict: undecided at 3 seeds: 6 seeds are the least" in answer.out
    assert "about 6 would do" in " ".join(answer.out.split())


def test_another_optimizer_may_take_anothers_place(workplace: Path) -> None:
    answer = call(f"claim tiny {OWN} instead={{sgd:momentum}} model.hidden=[4]")
    assert answer.code == 0, answer.err
    assert "not as it is published: with momentum for sgd, model.hidden=[4]" in answer.out
    (folder,) = QUICK.glob("tiny-*")
    config = next(folder.rglob("config.yaml")).read_text(encoding="utf-8")
    assert "momentum.Momentum" in config and "- 4" in config


def test_a_measure_of_ones_own(workplace: Path) -> None:
    write(workplace / "my_claims.py", MEASURE)
    mine = CLAIM.replace("{name: final, metric: val/loss}", "{name: my_claims.measure, scale: 2}")
    write(workplace / "own" / "claim" / "mine.yaml", mine)
    answer = call(f"claim mine {OWN}")
    assert answer.code == 0, answer.err
    assert "in other units" in answer.out and "verdict:" in answer.out


def test_all_claims_go_on_where_they_were(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("optbench.claims.verb.names_of_claims", lambda composer: ["tiny"])
    first = call(f"claim --all {OWN}")
    assert first.code == 0, first.err
    assert "tiny: sweep small" in first.err and "holds" in first.out
    again = call(f"claim --all {OWN}")
    assert again.out == first.out and "sweep" not in again.err


def test_a_claim_that_can_not_be_tested_stops_no_other(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(workplace / "own" / "claim" / "lost.yaml", CLAIM.replace("every: ", "every: model=no "))
    monkeypatch.setattr("optbench.claims.verb.names_of_claims", lambda composer: ["tiny", "lost"])
    answer = call(f"claim --all {OWN}")
    assert answer.code == 1
    assert "experiment: small: model=no: no such model" in answer.err and "holds" in answer.out


def test_of_all_claims_those_are_tested_that_name_what_is_replaced(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(
        workplace / "own" / "claim" / "other.yaml", CLAIM.replace("optimizer=sgd", "optimizer=adam")
    )
    monkeypatch.setattr("optbench.claims.verb.names_of_claims", lambda composer: ["tiny", "other"])
    answer = call(f"claim --all {OWN} instead={{adam:adamw}}")
    assert answer.code == 0, answer.err
    assert "tiny: passed over: instead: tiny has no adam in its experiment" in answer.err
    assert [line.split()[0] for line in answer.out.splitlines()][:2] == ["claim", "other"]


def test_the_list_has_each_claim() -> None:
    answer = call(f"claim {OWN}")
    assert answer.code == 0
    assert {"tiny", "gd_convex_rate"} <= {
        line.split()[0] for line in answer.out.splitlines() if line
    }


def test_a_file_that_is_no_claim_keeps_none_of_the_others_from_the_list(workplace: Path) -> None:
    write(workplace / "own" / "claim" / "bad.yaml", CLAIM.replace("sentence:", "sentense:"))
    answer = call(f"claim {OWN}")
    assert answer.code == 2 and "tiny [9.9]: not published" in answer.out
    assert "claim=bad: sentense: no such key; did you mean sentence?" in answer.err


def test_a_claim_from_python(workplace: Path) -> None:
    found = optbench.claim("tiny", "seeds=6", config_dir="own", out="mine")
    assert found.verdict == found.said == "holds" and found.p == 2 / 2**6
    assert found.folder == Path("mine/quick") / found.folder.name
    assert found.picture is not None and found.picture.is_file()
    assert set(found.values[""]["small"]) == set(range(6))
    with pytest.raises(optbench.UserError, match="at_once=2: of claim --all alone"):
        optbench.claim("tiny", "at_once=2", config_dir="own")
    with pytest.raises(optbench.UserError, match="no such claim; did you mean tiny"):
        optbench.claim("tinny", config_dir="own")


NO_RULE = CLAIM.replace("rule: {paired: [large, small], better: less}\n", "")
MNIST = CLAIM.replace("every: ", "every: dataset=mnist dataset.download=false ")
NO_MEASURE = CLAIM.replace("name: final", "name: finl")
NO_METRIC = CLAIM.replace("{name: final, metric: val/loss}", "final")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("claim noise_varianc", "claim noise_varianc: no such claim; did you mean noise_variance?"),
        ("claim tiny", "claim tiny: no such claim; optbench claim lists them"),
        ("claim 9.7", "claim 9.7: no such claim; optbench claim lists them"),
        (f"claim wrong {OWN}", "claim=wrong: experiment: small: model.hiden=[8]: no such key; did"),
        (
            f"claim tiny {OWN} instead={{8:4}}",
            "instead: tiny has no 8 in its experiment; choose fro",
        ),
        ("claim all", "claim all: no such claim; did you mean optbench claim --all?"),
        (f"claim tiny --all {OWN}", "tiny: beside --all; one of them"),
        (f"claim bad {OWN}", "claim=bad: it has no rule; what decides"),
        (f"claim unmeasured {OWN}", "claim=unmeasured: measure: finl: no such measure; did you"),
        (f"claim unsaid {OWN}", "claim=unsaid: measure: final: it has no metric"),
        (f"claim mnist {OWN}", "MNIST is missing: "),
        (f"claim tiny {OWN} budget=ful", "budget=ful: no such budget; did you mean full?"),
        (f"claim tiny {OWN} seeds=0", "seeds=0: not valid; expected a whole number from 1"),
        (f"claim tiny {OWN} sede=3", "sede=3: no such key; did you mean seed"),
        (f"claim tiny {OWN} instead={{adam:sgd}}", "instead: tiny has no adam in its experiment; "),
        (
            f"claim tiny {OWN} instead=adam",
            "instead=adam: expected such as 'instead={adam: adamw}'",
        ),
        (f"claim tiny {OWN} optimizer.lrr=1", "optimizer.lrr=1: no such key"),
        ("claim gd_convex_rate seeds=3", "seeds=3: gd_convex_rate draws nothing: the gradient"),
        (f"claim tiny {OWN} at_once=2", "at_once=2: of claim --all alone"),
        (f"claim --all {OWN} at_once=0", "at_once=0: not valid; expected a whole number from 1"),
        ("claim budget=quick", "claim: which? optbench claim NAME budget=quick, or --all"),
        ("claim tiny --ful", "--ful: no such flag"),
    ],
)
def test_bad_input_is_one_line_and_leaves_no_folder(line: str, said: str, workplace: Path) -> None:
    for name, text in (
        *(("bad", NO_RULE), ("mnist", MNIST)),
        *(("unmeasured", NO_MEASURE), ("unsaid", NO_METRIC)),
        ("wrong", CLAIM.replace("model.hidden", "model.hiden")),
    ):
        write(workplace / "own" / "claim" / f"{name}.yaml", text)
    answer = call(line)
    assert answer.code == 2
    assert " ".join(answer.err.split()).startswith(f"optbench: {said}")
    assert not Path("runs").exists()


def test_what_a_measure_gives_is_looked_at(workplace: Path) -> None:
    write(workplace / "strange.py", MEASURE)
    text = CLAIM.replace("{name: final, metric: val/loss}", "strange.wrong")
    write(workplace / "own" / "claim" / "odd.yaml", text)
    answer = call(f"claim odd {OWN}")
    assert answer.code == 2
    assert "claim=odd: measure: strange.wrong: gives an object of int, not a Measured" in answer.err


def test_a_flag_wants_its_value() -> None:
    with pytest.raises(UserError, match="--out: it wants a value"):
        read(["--out"])
