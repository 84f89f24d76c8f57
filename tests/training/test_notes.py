"""What ranks leave for one another in torchrun's store."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import nn

from optbench.errors import UserError
from optbench.rundir import RunDir
from optbench.runs.restart import begun_before, remember
from optbench.training import notes
from optbench.training.distributed import World

LOST = "[gloo/transport/tcp/pair.cc:561] Connection closed by peer [127.0.0.1]:38295."


@pytest.fixture(autouse=True)
def store(monkeypatch: pytest.MonkeyPatch) -> dist.HashStore:
    """Stands for torchrun's."""
    kept = dist.HashStore()
    monkeypatch.setattr(notes, "_store", lambda: kept)
    monkeypatch.setattr(notes, "PATIENCE_SECONDS", 0.0)
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "a launch")
    monkeypatch.setenv("TORCHELASTIC_USE_AGENT_STORE", "True")
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "0")
    return kept


def world(rank: int, joined: int = 1) -> World:
    return World(torch.device("cpu"), rank, 3, joined, timeout=60.0)


def raised(error: Exception) -> Exception:
    try:
        raise error
    except Exception as again:
        return again


def test_ranks_begun_anew_know_their_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "na\udcefve 日本").mkdir()
    folder = RunDir(tmp_path / "na\udcefve 日本")
    assert begun_before() is None
    assert remember(folder) is folder
    assert begun_before() is None
    for count in "12":
        monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", count)
        assert begun_before() == folder.path


def test_ranks_that_had_no_folder_yet_begin(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    assert begun_before() is None
    remember(RunDir(tmp_path))  # by the first rank, while another has not asked yet
    assert begun_before() is None


def test_another_launch_has_another_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    remember(RunDir(tmp_path))
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "another")
    assert begun_before() is None


def test_without_a_store_that_lasts_nothing_begins_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHELASTIC_USE_AGENT_STORE", "False")
    assert begun_before() is None
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    with pytest.raises(UserError, match="optbench resume RUN"):
        begun_before()


@pytest.mark.parametrize("lost", [RuntimeError(LOST), dist.DistBackendError("NCCL")])
def test_the_cause_of_a_lost_rank_is_its_own_error(lost: Exception) -> None:
    world(2).cause(raised(RuntimeError(LOST)))  # it is told that rank 1 is gone, no more
    world(1).cause(raised(FloatingPointError("loss is nan")))
    found = world(0).cause(lost)
    assert notes.said(found) == "rank 1: FloatingPointError: loss is nan"
    assert "in raised" in "".join(found.__notes__)


def test_a_mistake_of_the_users_stays_one() -> None:
    world(2).cause(raised(UserError("x.png: no image")))
    found = world(0).cause(RuntimeError(LOST))
    assert isinstance(found, UserError)
    assert str(found) == "rank 2: x.png: no image"


@pytest.mark.parametrize(
    "error",
    [
        *(FloatingPointError("loss is nan"), UserError("bad peer"), ValueError(LOST)),
        RuntimeError("database connection refused"),
        RuntimeError("the licence server's peer timed out"),
    ],
)
def test_rank_0s_own_error_is_its_own(error: Exception) -> None:
    world(1).cause(raised(ValueError("other")))
    assert world(0).cause(raised(error)) is error


@pytest.mark.parametrize("file", [dist.__file__, nn.parallel.distributed.__file__])
def test_what_torchs_exchange_raises_is_of_a_lost_rank(file: str) -> None:
    world(1).cause(raised(ValueError("other")))
    with pytest.raises(RuntimeError) as raising:
        exec(compile("raise RuntimeError('Connection reset')", file, "exec"))
    assert str(world(0).cause(raising.value)).startswith("rank 1: ValueError: other")


def test_a_rank_that_left_no_word(monkeypatch: pytest.MonkeyPatch) -> None:
    world(1, joined=1).cause(raised(ValueError("of a run before, which all ranks gave up")))
    found = world(0, joined=2).cause(RuntimeError(LOST))
    assert notes.said(found) == f"rank 1, 2 do not answer: RuntimeError: {LOST}"


LATE = "[gloo/transport/tcp/unbound_buffer.cc:78] Timed out waiting 4000ms for recv operation"


@pytest.mark.parametrize("mine", [LATE, LOST])
def test_a_hung_rank_is_named_by_all_others(mine: str) -> None:
    """Of these the first to wait too long breaks the connections of all."""
    world(0).cause(raised(RuntimeError(mine)))
    for rank, met in ((2, LATE), (0, mine)):
        found = world(rank).cause(raised(RuntimeError(met)))
        assert notes.said(found) == "rank 1 did not come within 60 s (rank_timeout)"


def test_ranks_that_all_left_word_lost_one_another() -> None:
    world(1).cause(raised(RuntimeError(LOST)))
    world(2).cause(raised(RuntimeError(LOST)))
    found = world(0).cause(raised(RuntimeError(LOST)))
    assert notes.said(found).startswith("the ranks lost one another: RuntimeError: [gloo/")


def test_a_process_alone_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notes, "_store", None)
    error = RuntimeError(LOST)
    assert World(torch.device("cpu")).cause(error) is error


@pytest.mark.parametrize("rank", [0, 1])
def test_a_store_that_is_gone_too_hides_nothing(rank: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone() -> None:
        raise dist.DistNetworkError("no answer")

    monkeypatch.setattr(notes, "_store", gone)
    error = RuntimeError(LOST)
    assert world(rank).cause(error) is error
