"""Killed before, or in the middle of, any operation on its folder, and resumed: the same run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from .scenarios import (
    KINDS,
    not_refused_well,
    own_folder,
    resumable,
    resume,
    said,
    table,
    train,
    unclean,
    unlike_whole,
    whole_of,
)
from .server import Ended, Fault, Server

BEFORE, WITHIN = "kill before", "kill within"


@dataclass(frozen=True)
class Case:
    """A kind of run, killed in its training and then in each of its resumes but the last."""

    number: int
    kind: str
    faults: tuple[Fault, ...]

    def __str__(self) -> str:
        return f"{self.kind}, {', then '.join(map(str, self.faults))}"


def survive(case: Case) -> tuple[str, list[str]]:
    """Kills, resumes and compares; the case in words, and what is wrong."""
    with own_folder(f"kill-{case.number}") as place:
        folder = place / "run"
        ended = train(case.kind, folder, case.faults[0])
        told = f"{case} ({ended.last}"
        wrong = [] if ended.killed or ended.code == 0 else [f"not killed: {said(ended)}"]
        for fault in case.faults[1:]:
            if resumable(case.kind, folder):
                ended = resume(folder, fault=fault)
                told += f"; {ended.last}"
                if not ended.killed and ended.code != 0:
                    wrong.append(f"not killed: {said(ended)}")
        if resumable(case.kind, folder):
            ended = resume(folder)
            wrong += unclean(ended)
            if ended.code != 0:
                wrong.append(f"exit code {ended.code}: {said(ended)}")
        else:
            wrong += not_refused_well(resume(folder))
            folder = place / "anew"
            train(case.kind, folder)
        return f"{told})", wrong or unlike_whole(case.kind, folder)


def end_of(ended: Ended) -> int:
    """The number of the first operation of the run's end: what comes after the last step but one
    that was saved."""
    saved = [
        (number, path.removesuffix(".old"))
        for number, (name, path, _) in enumerate(ended.operations, 1)
        if name == "rename" and "/checkpoints/step-" in path
    ]
    last = max(path for _, path in saved)
    before = [number for number, path in saved if path != last]
    return max(before, default=len(ended.operations) // 2) + 1


def kills(ended: Ended, first: int, last: int, every: int = 1) -> list[Fault]:
    """A kill before each `every`th operation, and within each that can be done by half."""
    numbers = range(first, min(last, len(ended.operations)) + 1)
    halves = [n for n in numbers if ended.operations[n - 1][2] > 1]
    found = [Fault(BEFORE, n) for n in numbers] + [Fault(WITHIN, n) for n in halves]
    return sorted(found, key=lambda fault: fault.at)[::every]


def numbered(cases: list[tuple[str, tuple[Fault, ...]]]) -> list[Case]:
    return [Case(number, *case) for number, case in enumerate(cases)]


ALL = tuple(KINDS)
FEW = ("plain", "async", "sweep")


def at_the_end(server: Server, kinds: Sequence[str] = ALL) -> list[Case]:
    """Kills in the last checkpoint, evaluation and summary."""
    kinds = [kind for kind in kinds if kind != "sweep"]
    cases = []
    for kind, ended in zip(kinds, server.map(whole_of, kinds), strict=True):
        every = 1 if kind in ("plain", "async") else 6
        every_kill = kills(ended, end_of(ended), len(ended.operations), every)
        cases += [(kind, (fault,)) for fault in every_kill]
    return numbered(cases)


def elsewhere(server: Server, kinds: Sequence[str] = ALL) -> list[Case]:
    """Kills before the end, and kills of a resume."""
    cases: list[tuple[str, tuple[Fault, ...]]] = []
    for kind, ended in zip(kinds, server.map(whole_of, kinds), strict=True):
        length = len(ended.operations)
        end = length if kind == "sweep" else end_of(ended) - 1
        every = 5 if kind in ("plain", "async", "sweep") else 16
        cases += [(kind, (fault,)) for fault in kills(ended, 1, end, every)]
        many = 12 if kind in ("plain", "async", "sweep", "language") else 6
        for turn in range(many):
            first = Fault(BEFORE, 10 + (length - 20) * turn // many)
            second = Fault((BEFORE, WITHIN)[turn % 2], 2 + 7 * turn)
            cases.append((kind, (first, second)))
        thrice = (Fault(WITHIN, length * 2 // 3), Fault(BEFORE, 40), Fault(BEFORE, 25))
        cases.append((kind, thrice))
    return numbered(cases)


def check(server: Server, cases: list[Case]) -> None:
    told = table(server.map(survive, cases))
    assert told.startswith("0 of"), told


def test_a_few(server: Server) -> None:
    """Of each family; the others are slow."""
    check(server, [*at_the_end(server, FEW)[::60], *elsewhere(server, FEW)[::45]])


@pytest.mark.slow
def test_kills_at_the_end_of_a_run(server: Server) -> None:
    cases = at_the_end(server)
    assert len(cases) >= 200
    check(server, cases)


@pytest.mark.slow
def test_kills_elsewhere(server: Server) -> None:
    cases = elsewhere(server)
    assert len(cases) >= 300
    check(server, cases)
