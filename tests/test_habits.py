"""What contributors are told is true: files that documents name, and hooks that are the CI's."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
CI = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
DOCUMENTS = [
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "README.md",
    "SECURITY.md",
    "docs/reliability.md",
]
SUFFIXES = (".py", ".md", ".csv", ".yaml", ".toml", "/")


def paths_named(text: str) -> set[str]:
    """Paths in backticks or links, without those that stand for any: NAME, step-N, <date>."""
    found = re.findall(r"`([\w./-]+)`|\]\(([\w./-]+)\)", text)
    words = {one or other for one, other in found}
    return {
        word
        for word in words
        if "/" in word.rstrip("/")
        and word.endswith(SUFFIXES)
        and not re.search("[A-Z]{3}|-N", word)
    }


def is_there(path: str, document: Path) -> bool:
    places = (ROOT, ROOT / "optbench", document.parent)
    return any((place / path).exists() for place in places)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_document_names_files_that_are_there(document: str) -> None:
    path = ROOT / document
    named = paths_named(path.read_text(encoding="utf-8"))
    assert sorted(name for name in named if not is_there(name, path)) == []


def test_the_search_for_paths_sees_them() -> None:
    text = "`cli/gone.py`, [x](docs/gone.md), `optbench/optim/NAME.py`, `a.py`, `tests/optim/`"
    assert paths_named(text) == {"cli/gone.py", "docs/gone.md", "tests/optim/"}


def hooks() -> list[dict[str, Any]]:
    text = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    repositories = yaml.safe_load(text)["repos"]
    assert [repository["repo"] for repository in repositories] == ["local"]
    return list(repositories[0]["hooks"])


def test_hooks_are_the_lint_of_the_ci() -> None:
    in_ci = re.findall(r'^"\$bin/(ruff|mypy)"(?: (check|format))?', CI, re.MULTILINE)
    of_hooks = [
        re.match(r"\.venv/bin/(ruff|mypy)(?: (check|format))?", h["entry"]) for h in hooks()
    ]
    assert [match.groups(default="") for match in of_hooks if match] == in_ci
    assert all(hook["language"] == "system" for hook in hooks())


def test_the_ci_leaves_the_readers_environment_alone() -> None:
    commands = [line for line in CI.splitlines() if not line.startswith("#")]
    assert ".venv" not in "\n".join(commands)


def test_the_extras_for_development_hold_what_the_ci_calls() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = " ".join(project["optional-dependencies"]["dev"])
    called = set(re.findall(r'^"\$bin/(\w+)"', CI, re.MULTILINE)) - {"pip"}
    assert called == {"ruff", "mypy", "pytest"}
    assert all(re.search(rf"\b{tool}>=", extras) for tool in called)
