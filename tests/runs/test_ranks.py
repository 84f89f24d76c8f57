"""optbench.runs.ranks: which rank of a torchrun tells of an error."""

from __future__ import annotations

import pytest
import torch
import torch.distributed as dist

from optbench.cli.main import main
from optbench.errors import UserError
from optbench.runs import ranks
from optbench.training import distributed, notes
from optbench.training.distributed import World, join


@pytest.fixture(autouse=True)
def store(monkeypatch: pytest.MonkeyPatch) -> dist.HashStore:
    """Stands for torchrun's, whose ranks have found one another."""
    kept = dist.HashStore()
    for name, value in (("WORLD_SIZE", "3"), ("MASTER_ADDR", "host"), ("MASTER_PORT", "1")):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(notes, "_store", lambda: kept)
    monkeypatch.setattr(notes, "TOLD_SECONDS", 0.0)
    monkeypatch.setattr(ranks, "HEAD_START_SECONDS", 0.0)
    monkeypatch.setattr(ranks, "have_joined", lambda: True)
    return kept


def said(
    error: UserError, rank: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> str:
    monkeypatch.setenv("RANK", str(rank))
    ranks.tell(error)
    return capfd.readouterr().err


def test_of_what_all_meet_rank_0_alone(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    heard = [said(UserError("x=1: no"), rank, monkeypatch, capfd) for rank in range(3)]
    assert heard == ["optbench: x=1: no\n", "", ""]


def test_of_its_own_each(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    heard = [said(UserError(f"of {rank}"), rank, monkeypatch, capfd) for rank in range(3)]
    assert heard == ["optbench: of 0\n", "[rank 1] optbench: of 1\n", "[rank 2] optbench: of 2\n"]
    told = said(UserError("rank 1: no image"), 0, monkeypatch, capfd)
    assert told == "optbench: rank 1: no image\n"
    assert said(UserError("no image"), 1, monkeypatch, capfd) == ""


def test_without_a_store_too_much_rather_than_nothing(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def gone() -> None:
        raise dist.DistNetworkError("no answer")

    monkeypatch.setattr(notes, "_store", gone)
    heard = [said(UserError("no"), rank, monkeypatch, capfd) for rank in range(2)]
    assert heard == ["optbench: no\n", "[rank 1] optbench: no\n"]


def test_what_only_rank_0_does_it_tells(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    world = World(torch.device("cpu"), 1, 2)
    monkeypatch.setattr(World, "from_main", lambda *_: (None, UserError("no space")))
    with pytest.raises(UserError) as caught:
        world.on_main(list)
    assert said(caught.value, 1, monkeypatch, capfd) == ""


def test_before_the_ranks_have_joined(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ranks, "have_joined", lambda: False)
    assert said(UserError("x=1: no"), 1, monkeypatch, capfd) == ""
    assert main(["nonsense"]) == 2 and capfd.readouterr().err == ""
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setattr(distributed.torch.cuda, "device_count", lambda: 1)
    with pytest.raises(UserError) as caught:
        join("cuda")
    told = said(caught.value, 1, monkeypatch, capfd)
    assert told == "[rank 1] optbench: device=cuda: rank 1 of this machine has no GPU of its own\n"
