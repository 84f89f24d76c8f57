"""Every test here works in an empty folder, with a claim of its own in `own`."""

from pathlib import Path

import pytest
import torch

CLAIM = """# One learning rate against another
section: "9.9"
sentence: "A larger lr is faster at first"
source: these tests
question: Which of two learning rates has the lower loss after a few steps?
every: model.hidden=[8] steps=3
experiment:
  small: optimizer=sgd optimizer.lr=1e-4
  large: optimizer=sgd optimizer.lr=1e-1
measure: {name: final, metric: val/loss}
rule: {paired: [large, small], better: less}
conditions: the digits
would_change: an interval on the other side
budget:
  quick: {seeds: 6}
  full: {seeds: 8}
"""


def write(path: Path, text: str) -> None:
    """Write a file of the user's own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder to work in; `own` in it has the claim `tiny`."""
    folder = tmp_path / "work"
    write(folder / "own" / "claim" / "tiny.yaml", CLAIM)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("OPTBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("COLUMNS", raising=False)
    torch.set_num_threads(1)
    return folder
