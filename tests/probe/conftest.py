"""Every test here works in an empty folder, on one thread."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from cli.program import train

LINE = "steps=6 checkpoint.every=2 checkpoint.keep_last=9 eval.every=2 optimizer.lr=0.01"


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder to work in, empty."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("OPTBENCH_DATA", str(tmp_path))
    torch.set_num_threads(1)
    return folder


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A run with momentum, with three checkpoints, that nobody changes."""
    folder = tmp_path_factory.mktemp("probe") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPTBENCH_DATA", str(folder.parent))
        train(f"{LINE} optimizer=sgd optimizer.momentum=0.9", folder)
    yield folder


@pytest.fixture
def run(original: Path, workplace: Path) -> Path:
    """A copy of it, at `mine`."""
    return Path(shutil.copytree(original, workplace / "mine"))
