"""Every test here works in an empty folder, on one thread; faults are found by `planted.NAME`."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from optbench.check.checks import asked, run_checks
from optbench.check.result import Checked
from optbench.compose.composer import Composer, hydra_session
from optbench.runs.log import Log

Checks = Callable[..., Checked]


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder to work in, empty."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("OPTBENCH_DATA", str(tmp_path))
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    torch.set_num_threads(1)
    return folder


@pytest.fixture(scope="module")
def composer() -> Iterator[Composer]:
    """One for all, which reads files once."""
    with hydra_session() as session:
        yield session


@pytest.fixture
def checks(composer: Composer) -> Checks:
    """`optbench check`, as a program has it."""

    def checked(*overrides: str) -> Checked:
        # Seconds enough on a busy machine; what is found there ends long before.
        words = ["device=cpu", "threads=1", "seconds=300", *overrides]
        return run_checks(asked(composer, words), Log(tells=False))

    return checked
