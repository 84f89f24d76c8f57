"""What README.md and docs/python.md show of Python is run, as it stands there."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest
import torch

import optbench

ROOT = Path(__file__).parents[1]
PAGE = "docs/python.md"


def blocks(page: str) -> list[tuple[str, str]]:
    """The fenced blocks of a page: language and text."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPTBENCH_DATA", str(tmp_path))
    torch.set_num_threads(1)


def run(code: str, names: dict[str, object]) -> str:
    """What a piece of code prints."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(code, PAGE, "exec"), names)
    return out.getvalue()


def test_the_page_prints_what_it_says() -> None:
    pytest.importorskip("polars")
    pytest.importorskip("plotly")
    names: dict[str, object] = {}
    said = ""
    for language, text in [*blocks(PAGE), ("python", "")]:
        if language == "python":
            assert said == "", "what is printed is not shown"
            said = run(text, names)
        else:
            assert said == text
            said = ""


def test_the_page_has_every_public_name() -> None:
    code = "".join(text for language, text in blocks(PAGE) if language == "python")
    used = set(re.findall(r"optbench\.(\w+)", code))
    assert used == set(optbench.__all__) and "Run" in used


def readme() -> list[str]:
    """The scripts of README, each short."""
    codes = [text for language, text in blocks("README.md") if language == "python"]
    assert all(len(code.splitlines()) <= 15 for code in codes)
    return codes


def test_the_readmes_look_at_the_curvature_changes_nothing() -> None:
    _, code = readme()
    curvature, same = run(code, {}).splitlines()
    assert float(curvature) and same == "True"


def test_the_readme_prints_the_better_ones_loss() -> None:
    pl = pytest.importorskip("polars")
    code, _ = readme()
    names: dict[str, object] = {}
    said = run(code, names)
    results = names["results"]
    assert isinstance(results, dict)
    runs = {name: each.run for name, each in results.items()}
    losses = {name: each.summary["final"]["val/loss"] for name, each in runs.items()}
    best = min(losses, key=losses.__getitem__)
    assert said.splitlines()[-1] == f"{best} {losses[best]}"
    curve = runs["sgd"].series("val/loss")
    assert isinstance(curve, pl.DataFrame) and curve.height == 3
