"""Every test here works in an empty folder, without data and on one thread."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from optbench.population.members import PopulationJobs

VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "FORCE_COLOR", "COLUMNS", "COMP_LINE")


def set_up(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Goes to work in `folder`, which is made; what is known of the outside is forgotten."""
    folder.mkdir()
    data = folder.with_name(f"{folder.name}-data")
    data.mkdir()
    patch.chdir(folder)
    patch.setenv("OPTBENCH_DATA", str(data))
    patch.setattr(sys, "argv", ["optbench"])
    for variable in VARIABLES:
        patch.delenv(variable, raising=False)
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder to work in, empty."""
    folder = tmp_path / "work"
    set_up(folder, monkeypatch)
    return folder


@pytest.fixture(scope="module")
def shared_place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for runs that several tests of a module look at."""
    folder = tmp_path_factory.mktemp("shared") / "work"
    with pytest.MonkeyPatch.context() as patch:
        set_up(folder, patch)
        yield folder


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checkpoints of all rounds stay."""
    monkeypatch.setattr(PopulationJobs, "_tidy", lambda self, number: None)
