"""`import optbench`: light, typed, and whole; its examples."""

from __future__ import annotations

import doctest
import subprocess
import sys
from pathlib import Path

import pytest

import optbench
from optbench.runs.read import Run

PUBLIC = [
    *(optbench.compose, optbench.train, optbench.sweep, optbench.resume, optbench.resume_sweep),
    *(optbench.open_run, optbench.find_runs, Run),
]


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_loads_nothing_heavy() -> None:
    heavy = "{'torch', 'hydra', 'omegaconf', 'numpy', 'yaml', 'polars'}"
    loaded = f"print(sorted({heavy} & set(sys.modules)))"
    assert python(f"import sys, optbench; optbench.train; optbench.Run; {loaded}") == ("['yaml']\n")
    assert python(f"import sys, optbench; {loaded}") == "[]\n"


def test_compose_is_the_function_whatever_is_imported() -> None:
    """The package of this name is loaded as a part of every run."""
    code = "import optbench.compose.composer, optbench; print(optbench.compose.__module__);"
    code += "from optbench.compose.grid import combinations; print(callable(optbench.compose))"
    assert python(code) == "optbench.api\nTrue\n"


def test_every_public_name_is_there() -> None:
    assert [name for name in optbench.__all__ if not hasattr(optbench, name)] == []
    assert set(optbench.__all__) <= set(dir(optbench))
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        optbench.trian  # noqa: B018


def test_it_is_marked_as_typed() -> None:
    assert Path(optbench.__file__).with_name("py.typed").is_file()


def examples() -> list[doctest.DocTest]:
    found: list[doctest.DocTest] = []
    finder = doctest.DocTestFinder(exclude_empty=True)
    for public in PUBLIC:
        found += [test for test in finder.find(public, public.__name__) if test.examples]
    return found


def test_every_public_function_has_an_example() -> None:
    assert {test.name.partition(".")[0] for test in examples()} == {p.__name__ for p in PUBLIC}


@pytest.mark.parametrize("example", examples(), ids=lambda test: test.name)
def test_an_example_does_what_it_says(example: doctest.DocTest) -> None:
    names: dict[str, object] = {"optbench": optbench}
    if "frame" in str(example.docstring) or "series" in example.name:
        pytest.importorskip("polars")
    if example.name != "train":
        result = optbench.train("optimizer=sgd", "optimizer.lr=0.1", "steps=5", folder="runs/first")
        names["run"] = result.run
    if example.name == "Run.series":
        names["run"] = optbench.train("epochs=1", folder="runs/longer").run
    example.globs = names
    assert doctest.DocTestRunner(verbose=False).run(example).failed == 0
