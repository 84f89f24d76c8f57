"""Every test here works in a folder of its own, on one thread."""

from pathlib import Path

import pytest
import torch


@pytest.fixture(autouse=True)
def _own_folder_and_one_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.set_num_threads(1)
