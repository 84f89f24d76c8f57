"""A disk that fills, is taken away or made read-only, at operations spread over a run."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from .scenarios import (
    errors,
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

STAYS = ("fail from", "fail short")
ONCE = "fail once"
KINDS = ("plain", "async", "function", "language", "sweep")


@dataclass(frozen=True)
class Case:
    """A kind of run and what happens to its disk; `resumed`: in a resume, after a kill there."""

    number: int
    kind: str
    fault: Fault
    resumed: int | None = None

    def __str__(self) -> str:
        when = "" if self.resumed is None else f"killed before {self.resumed}, resume "
        return f"{self.kind}, {when}{self.fault}"


def survive(case: Case) -> tuple[str, list[str]]:
    """Fails, is repaired, goes on; the case in words, and what is wrong."""
    with own_folder(f"disk-{case.number}") as place:
        folder = place / "run"
        if case.resumed is None:
            ended = train(case.kind, folder, case.fault)
        else:
            train(case.kind, folder, Fault("kill before", case.resumed))
            ended = resume(folder, fault=case.fault)
        hit = len(ended.operations) >= case.fault.at
        told = f"{case} ({' '.join(ended.operations[case.fault.at - 1][:2]) if hit else 'never'})"
        wrong = unclean(ended)
        if hit and (case.fault.mode != ONCE or ended.code != 0):
            wrong += not_told_well(ended, case.fault.error, 2 if case.kind == "sweep" else 1)
        if resumable(case.kind, folder):
            again = resume(folder)
        else:
            folder = place / "anew"
            again = train(case.kind, folder)
        wrong += unclean(again)
        if again.code != 0:
            wrong.append(f"then exit code {again.code}: {said(again)}")
        return told, wrong + unlike_whole(case.kind, folder)


WORDS = {
    errno.ENOSPC: "no space left",
    errno.EDQUOT: "quota",
    errno.EIO: "input/output error",
    errno.EROFS: "read-only",
    errno.EMFILE: "too many open files",
}
"""What the line has to say."""


def not_told_well(ended: Ended, error: int, most: int = 1) -> list[str]:
    """What is wrong with how a full disk was told: exit code 1, and one line with the cause (of
    a sweep, one a run)."""
    wrong = []
    if ended.code != 1:
        wrong.append(f"exit code {ended.code}: {said(ended)}")
    lines = errors(ended)
    named = all(WORDS[error] in line.lower() for line in lines)
    if not (0 < len(lines) <= most and named):
        wrong.append(f"not one line: {' / '.join(lines)[:200]}")
    return wrong


def spread(length: int, number: int) -> list[int]:
    """So many numbers of operations from the first to the last."""
    return sorted({1 + (length - 1) * n // (number - 1) for n in range(number)})


def disks(server: Server, kinds: Sequence[str] = KINDS) -> list[Case]:
    """A full disk at 40 operations of an ordinary run; other errors and kinds at fewer."""
    ends = dict(zip(kinds, server.map(whole_of, kinds), strict=True))
    found: list[tuple[str, Fault, int | None]] = []
    plain = len(ends["plain"].operations)
    for number in spread(plain, 40):
        found.append(("plain", Fault("fail from", number, errno.ENOSPC), None))
    for code in (errno.EDQUOT, errno.EIO, errno.EROFS):
        for number in spread(plain, 12):
            found.append(("plain", Fault("fail from", number, code), None))
    for kind, ended in ends.items():
        operations = ended.operations
        writes = [n for n, o in enumerate(operations, 1) if o[2] > 1]
        opens = [n for n, o in enumerate(operations, 1) if o[0] == "open"]
        for index in spread(len(writes), 9):
            found.append((kind, Fault("fail short", writes[index - 1], errno.ENOSPC), None))
        for index in spread(len(opens), 7):
            found.append((kind, Fault(ONCE, opens[index - 1], errno.EMFILE), None))
        for number in spread(len(operations), 7):
            found.append((kind, Fault(ONCE, number, errno.EIO), None))
            found.append((kind, Fault("fail from", number, errno.ENOSPC), None))
        for number in spread(len(operations) // 3, 6):
            killed = len(operations) * 3 // 5
            found.append((kind, Fault("fail from", number, errno.ENOSPC), killed))
    return [Case(number, *case) for number, case in enumerate(found)]


def check(server: Server, cases: list[Case]) -> None:
    told = table(server.map(survive, cases))
    assert told.startswith("0 of"), told


@pytest.mark.slow
def test_every_disk(server: Server) -> None:
    cases = disks(server)
    at = {case.fault.at for case in cases if case.kind == "plain" and case.fault.mode in STAYS}
    assert len(at) >= 30 and len(cases) >= 150
    check(server, cases)


def test_a_few_disks(server: Server) -> None:
    """Full, read-only, at once or in the middle of a write; the others are slow."""
    check(server, disks(server, ["plain"])[::14])


def too_few_files(limit: int) -> tuple[str, list[str]]:
    with own_folder(f"files-{limit}") as place:
        folder = place / "run"
        ended = train("plain", folder, open_files=limit)
        wrong = unclean(ended)
        if ended.code != 0:
            wrong += not_told_well(ended, errno.EMFILE)
        if resumable("plain", folder):
            again = resume(folder)
        else:
            folder = place / "anew"
            again = train("plain", folder)
        return f"{limit} open files", wrong + unclean(again) + unlike_whole("plain", folder)


@pytest.mark.slow
def test_too_few_open_files(server: Server) -> None:
    server.map(whole_of, ["plain"])
    told = table(server.map(too_few_files, list(range(5, 17))))
    assert told.startswith("0 of"), told
