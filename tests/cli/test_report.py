"""The verb `report`, of a real sweep."""

from __future__ import annotations

from pathlib import Path

import pytest

from .program import SMALL, call

MORE = "checkpoint=none monitor.tensorboard=false steps=4 eval.every=1"


@pytest.fixture(scope="module")
def swept(shared_place: Path) -> Path:
    pytest.importorskip("scipy")
    pytest.importorskip("plotly")
    folder = shared_place / "to-report"
    grid = "optimizer=sgd,adam seed=0,1"
    assert call(f"train -m {SMALL} {MORE} {grid} hydra.sweep.dir={folder}").code == 0
    return folder


def test_a_page_is_written(swept: Path, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    answer = call(["report", str(swept), "-o", str(out)])
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith(f"{out}: ") and "any browser opens it" in answer.out
    text = out.read_text(encoding="utf-8")
    assert "2 seeds can't decide among 2 arms" in text and '"val/loss"' in text


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("report {swept}", "report: which file? optbench report FOLDER... -o report.html"),
        ("report {swept} -o", "-o: it wants a value"),
        ("report {swept} -o {swept}", "a folder, where a file is meant"),
        ("report {swept} -o {swept}/none/x.html", "no such folder"),
        ("report {swept} --oputput x.html", "no such flag; did you mean --output?"),
        ("report nowhere -o x.html", "nowhere: no such folder"),
        ("report {swept} -o x.html --metric test/los", "did you mean test/loss?"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    swept: Path, workplace: Path, line: str, said: str
) -> None:
    answer = call(line.format(swept=swept).split())
    assert answer.code == 2 and said in answer.err and answer.err.count("\n") == 1
    assert not Path("x.html").exists()
