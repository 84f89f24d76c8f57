"""docs/statistics.md: what it shows is run, its table is true, its functions are there."""

import contextlib
import io
import re
from pathlib import Path

from optbench import statistics

TEXT = (Path(__file__).parents[2] / "docs" / "statistics.md").read_text(encoding="utf-8")


def test_the_example_prints_what_it_says() -> None:
    [code] = re.findall(r"^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    [said] = re.findall(r"^```\n(\w.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(code, "docs/statistics.md", "exec"), {})
    assert out.getvalue() == said


def test_the_least_seeds_are_those_of_all_pairs() -> None:
    rows = [line.strip("| ").split(" | ") for line in TEXT.splitlines() if line.startswith("| ")]
    table = {row[0]: [int(cell) for cell in row[1:]] for row in rows if row[1].isdigit()}
    assert table["pairs of them"] == [k * (k - 1) // 2 for k in table["optimizers"]]
    assert table["seeds"] == [statistics.least_pairs(many) for many in table["pairs of them"]]


def test_the_functions_named_are_there() -> None:
    named = set(re.findall(r"`([a-z]+_[a-z_]+)`", TEXT))
    assert "rank_test" in named and named <= set(statistics.__all__)
