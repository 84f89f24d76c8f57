"""Several ranks against one: what trains alike, takes too long, or is stopped."""

from __future__ import annotations

import os
import signal
import tempfile
import threading
from pathlib import Path

import pytest

from optbench.check import ranks
from optbench.training.signals import Stopped, stoppable

from .conftest import Checks

WORDS = ("model.hidden=[8]", "checks=[determinism]", "ranks=2")


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where folders that go are made."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def children() -> set[str]:
    """The processes that this one began."""
    lists = Path("/proc/self/task").glob("*/children")
    return {each for path in lists for each in path.read_text(encoding="ascii").split()}


@pytest.mark.slow
def test_several_ranks_train_as_one(checks: Checks) -> None:
    found = checks(*WORDS)
    assert [line.status for line in found.lines] == ["pass", "pass"]
    assert "2 ranks train as one does" in found.lines[1].finding.what


def test_what_takes_too_long_is_left_out(
    checks: Checks, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranks, "limit", lambda setup: 0.2)
    found = checks(*WORDS)
    line = found.lines[1]
    assert line.status == "skipped" and "4 steps take more than 0.2 s" in line.finding.what
    assert not any(temporary.glob("optbench-check-*"))


def test_a_signal_leaves_no_folder_and_no_process(checks: Checks, temporary: Path) -> None:
    def stop() -> None:
        while not any(temporary.glob("optbench-check-*")):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    before = children()
    other = threading.Thread(target=stop, daemon=True)
    with pytest.raises(Stopped) as raised, stoppable():
        other.start()
        checks(*WORDS)
    assert raised.value.code == 128 + signal.SIGTERM
    assert not any(temporary.glob("optbench-check-*"))
    assert children() == before
