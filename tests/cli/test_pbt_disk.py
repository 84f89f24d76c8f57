"""A population and the disk: one that is full, and what is not kept on it."""

from __future__ import annotations

import errno
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from optbench.rundir import RunDir
from optbench.runs import branch
from optbench.training import trainer

from .program import call
from .test_pbt import ADAMW, at, killed_at, parent_of

STOPS = "the population stops here: "


class Full:
    """A disk that has no room left from the n-th write on."""

    def __init__(self, real: Any, after: int, path: str) -> None:
        self.real, self.left, self.path = real, after, path

    def __call__(self, *args: Any, **more: Any) -> Any:
        self.left -= 1
        if self.left < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self.path)
        return self.real(*args, **more)


def full(patch: pytest.MonkeyPatch, owner: Any, name: str, after: int) -> None:
    disk = Full(getattr(owner, name), after, "state.pt")
    patch.setattr(owner, name, lambda *args, **more: disk(*args, **more))


@pytest.mark.parametrize(
    ("owner", "name", "after"),
    [
        pytest.param(trainer.Trainer, "_save", 0, marks=pytest.mark.slow),
        (trainer.Trainer, "_save", 6),  # in the second round
        pytest.param(branch, "_copy", 0, marks=pytest.mark.slow),
        (branch, "_copy", 20),
    ],
)
def test_a_full_disk_ends_the_population_and_no_member_is_blamed(
    owner: Any, name: str, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = call(ADAMW.replace("=study", "=whole")).out.replace("whole", "study")
    with monkeypatch.context() as patch:
        full(patch, owner, name, after)
        answer = call(ADAMW)
    assert answer.code == 1
    assert f"{STOPS}state.pt: No space left on device" in answer.err
    assert "optbench resume study" in answer.out
    with monkeypatch.context() as patch:  # it is still full
        full(patch, owner, name, 0)
        again = call("resume study")
    assert again.code == 1 and STOPS in again.err
    ended = call("resume study")
    assert (ended.code, ended.out) == (0, whole)


@pytest.mark.parametrize("machines", [True, False])
def test_whose_status_says_that_the_disk_was_full_goes_on(machines: bool, kept: None) -> None:
    """Also if the population was killed before it heard of it; what failed by itself is lost."""
    assert call(ADAMW).code == 0
    table = call("resume study").out
    for later in Path("study").glob("2-*"):
        shutil.rmtree(later)
    run = at(1, 1)
    (run.path / "summary.json").unlink()
    run.write_status("failed", 8, "no room", checkpoint=8, **{"machines": True} if machines else {})
    again = call("resume study")
    assert again.code == 0 and (again.out == table) == machines
    assert run.state == ("stopped_early" if machines else "failed")
    assert "machines" not in run.read_status()


def kept_at(number: int) -> list[int]:
    return [m for m in range(4) if at(number, m).checkpoints.exists()]


def test_checkpoints_that_nobody_needs_any_more_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """When a round is over those that nobody copies; the others once who copied has its own."""
    seen: list[tuple[str, list[int]]] = []
    real = trainer.Trainer.fit

    def looking(self: Any) -> Any:
        found = sorted(path.name for path in Path("study").glob("*-*"))
        number = max(int(name.partition("-")[0]) for name in found)
        if number:
            begun = [name for name in found if name.startswith(f"{number}-")][-1]
            seen.append((begun, kept_at(number - 1)))
            assert number < 2 or not kept_at(number - 2)
        return real(self)

    monkeypatch.setattr(trainer.Trainer, "fit", looking)
    assert call(ADAMW).code == 0
    assert len(seen) == 8
    for begun, there in seen:
        number, m = map(int, begun.split("-"))
        following = [f"{number}-{n}" for n in range(m, 4)]
        parents = {int(parent_of(at(number, n))[2]) for n in range(m, 4)}
        assert set(there) == parents, following
    assert [kept_at(number) for number in range(3)] == [[], [], [0, 1, 2, 3]]


@pytest.mark.slow
def test_a_kill_while_they_are_removed_changes_nothing() -> None:
    whole = call(ADAMW.replace("=study", "=whole")).out.replace("whole", "study")
    for number, count in enumerate((2, 1, 3)):
        line = "resume study" if number else ADAMW
        assert killed_at("rmtree", count, line) == signal.SIGKILL
    ended = call("resume study")
    assert (ended.code, ended.out) == (0, whole)
    assert [kept_at(number) for number in range(3)] == [[], [], [0, 1, 2, 3]]
    assert RunDir(Path("study/1-0")).state == "stopped_early"
