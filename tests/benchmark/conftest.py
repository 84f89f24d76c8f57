"""Every test here works in an empty folder, without data and on one thread."""

from pathlib import Path

import pytest
import torch

SUITE = """# Two small problems
source: these tests
overrides:
  monitor.tensorboard: false
  threads: 1
workloads:
  digits_mlp:
    model.hidden: [8]
  quadratic_deep:
"""


def write(path: Path, text: str) -> None:
    """Write a config file of the user's own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder to work in; `own` in it has the suite `tiny`."""
    folder = tmp_path / "work"
    write(folder / "own" / "suite" / "tiny.yaml", SUITE)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("OPTBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("COLUMNS", raising=False)
    torch.set_num_threads(1)
    return folder
