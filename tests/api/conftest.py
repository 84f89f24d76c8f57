"""Every test here works in an empty folder, on one thread."""

from pathlib import Path

import pytest
import torch


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder to work in, empty."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("OPTBENCH_DATA", str(tmp_path))
    torch.set_num_threads(1)
    return folder
