"""`optbench.pbt`: what a population came to, as data."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

import optbench
from optbench.population.members import PopulationJobs
from optbench.training import trainer

SMALL = ("threads=1", "device=cpu", "model.hidden=[4]", "steps=6", "optimizer=sgd")
WORDS = (*SMALL, "members=3", "rounds=3", "search={optimizer.lr: {log: [1e-3, 0.5]}}")


def test_it_gives_the_winner_its_history_and_how_to_replay_it(
    workplace: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    found = optbench.pbt(*WORDS, "quantile=0.5", folder="population")
    assert capfd.readouterr() == ("", "")
    assert (found.folder, found.metric, found.mode) == (
        workplace / "population",
        "val/accuracy",
        "max",
    )
    scores = [each.metrics["val/accuracy"] for each in found.members]
    assert len(scores) == 3 and scores == sorted(scores, reverse=True)
    assert [each.state for each in found.members] == ["finished"] * 3
    assert [each.number for each in found.history] == [0, 1, 2]
    last = found.history[-1]
    assert found.winner is not None and last.score == scores[0]
    assert found.winner.path == found.members[0].folder.path
    assert found.winner.path.name == f"2-{last.member}"
    assert found.winner.setting("optimizer.lr") == last.values["optimizer.lr"]
    for before, each in zip(found.history, found.history[1:], strict=False):
        assert each.copied == (None if each.member == before.member else before.member)
    assert found.replay == workplace / "population" / "replay.yaml" and found.replay.is_file()
    again = optbench.train(*found.overrides, folder="again")
    assert again.run.choices["schedule"] == "replay"
    assert again.metrics["val/loss"] == pytest.approx(
        found.members[0].metrics["val/loss"], rel=1e-4
    )


def test_where_no_member_is_left_there_is_no_winner() -> None:
    wild = "search={optimizer.lr: {log: [1e30, 1e35]}}"
    found = optbench.pbt(*SMALL, "members=2", "rounds=2", wild, folder="population")
    assert (found.winner, found.replay, found.history) == (None, None, ())
    assert found.message.startswith("no member is left after round 1 of 2; 0-1 diverged")
    assert [each.state for each in found.members] == ["diverged"] * 2


def test_a_full_disk_is_raised_and_the_folder_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*more: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "state.pt")

    monkeypatch.setattr(trainer.Trainer, "_save", full)
    with pytest.raises(optbench.UserError, match=r"state.pt: No space left on device; resume goes"):
        optbench.pbt(*WORDS, folder="population")
    assert Path("population/population.yaml").is_file()


def test_one_that_was_ended_goes_on_and_one_that_is_done_says_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = optbench.pbt(*WORDS, folder="whole")
    real, begun = PopulationJobs._job, []

    def dying(jobs: PopulationJobs, number: int, m: int) -> Any:
        begun.append((number, m))
        if len(begun) == 6:
            raise KeyboardInterrupt
        return real(jobs, number, m)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(PopulationJobs, "_job", dying)
        optbench.pbt(*WORDS, folder="cut")
    assert begun[-1] == (1, 2)
    again = optbench.resume_pbt("cut")
    assert again.history == whole.history == optbench.resume_pbt(whole.folder).history
    assert optbench.resume_pbt("whole").overrides == whole.overrides
    with pytest.raises(optbench.UserError, match="nowhere: no such folder"):
        optbench.resume_pbt("nowhere")
    with pytest.raises(optbench.UserError, match=r"0-0: not a population's folder: it has no pop"):
        optbench.resume_pbt("whole/0-0")
    with pytest.raises(optbench.UserError, match="members=4: a population goes on as planned"):
        optbench.resume_pbt("cut", "members=4")
