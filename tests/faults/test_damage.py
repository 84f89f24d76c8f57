"""A run folder whose files were damaged: one line or the same run, and nothing lost in silence."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import stat
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from . import damages
from .compare import differences, line_of, metrics
from .scenarios import (
    errors,
    not_refused_well,
    own_folder,
    program,
    resume,
    said,
    table,
    train,
    unclean,
    whole,
    whole_of,
)
from .server import Ended, Fault, Server

DENIED = {"no permission": errno.EACCES, "a broken disk": errno.EIO}
GROWS = 300
"""MiB; an ordinary run takes 40."""

LONGER = "steps=15"
CHECKPOINT = re.compile(r"checkpoints/step-\d+")
MAY_DIFFER = {
    "metrics.jsonl": "metrics",
    "tb": "tensorboard",
    "samples": "samples",
    "summary.json": "summary",
    "status.json": "status",
}
"""What a damage may have taken away for good, if that is told; checkpoints are never in it."""


KILLED_AT = {"sweep": "/1/checkpoints/step-00000005.tmp"}
"""What a run that is killed would have made next, if not step 10: so it has checkpoints, and has
recorded what comes after them."""


@dataclass(frozen=True)
class Base:
    """A run folder before the damage: of a kind, left alone or killed."""

    kind: str
    killed: bool

    def __str__(self) -> str:
        return f"{'killed' if self.killed else 'whole'}-{self.kind}"


@dataclass(frozen=True)
class Case:
    """What is damaged how, and the command that then meets it."""

    number: int
    base: Base
    target: str
    damage: str
    command: str

    def __str__(self) -> str:
        return f"{self.command} of {self.base}, {self.target}: {self.damage}"


@cache
def folder_of(base: Base) -> Path:
    """The folder of a base, made when first asked for; no two workers may ask at once."""
    left_alone, ended = whole(base.kind)
    if not base.killed:
        return left_alone
    folder = Path("killed", base.kind).absolute()
    if not folder.exists():
        next_one = KILLED_AT.get(base.kind, "/checkpoints/step-00000010.tmp")
        begun = [n for n, o in enumerate(ended.operations, 1) if o[1] == next_one]
        assert train(base.kind, folder, Fault("kill before", begun[0])).killed
    return folder


def made(base: Base) -> list[tuple[str, bool]]:
    """The names of a base's files and folders, and whether it is a folder."""
    folder = folder_of(base)
    for command in commands(base):
        undamaged(base, command)
        for checkpoint in folder.glob("checkpoints/step-*"):
            if command == "longer":
                undamaged(base, command, f"checkpoints/{checkpoint.name}")
    return [(str(p.relative_to(folder)), p.is_dir()) for p in sorted(folder.rglob("*"))]


def commands(base: Base) -> list[str]:
    if base.kind == "sweep":
        return ["resume"]
    if base.kind == "function":
        return ["resume", "longer", "draw"]
    return ["resume", "longer", "by another"]


def do(command: str, run: Path, **more: Any) -> Ended:
    """One of the commands that read a run folder; `by another`: of a user who did not begin it."""
    if command == "draw":
        to = run.parent / "pictures"
        return program(["draw", run, "--to", to], run, **more)
    if command == "by another":
        more["state"] = run.parent / "state"
    return resume(run, *([LONGER] if command == "longer" else []), **more)


@cache
def undamaged(base: Base, command: str, without: str = "nothing") -> tuple[Path, str]:
    """What the command makes of the base as it is: the folder, and standard output.

    Args:
        base, command: which.
        without: a checkpoint that is not there.
    """
    place = Path(
        "undamaged", str(base), command.replace(" ", "-"), Path(without).name, "case"
    ).absolute()
    noted = place / "out"
    if not noted.exists():
        shutil.copytree(folder_of(base), place / "run")
        shutil.rmtree(place / "run" / without, ignore_errors=True)
        ended = do(command, place / "run")
        assert ended.code == 0, ended.err
        noted.write_text(told(ended, place / "run"), encoding="utf-8")
    return place / "run", noted.read_text(encoding="utf-8")


def told(ended: Ended, run: Path) -> str:
    """Standard output, wherever the run lies."""
    return re.sub(rf"\S*{re.escape(run.parent.name)}/", "HERE/", ended.out)


def meet(case: Case) -> tuple[str, list[str]]:
    """Damages, commands and judges; the case in words, and what is wrong."""
    with own_folder(f"damage-{case.number}") as place:
        run = place / "case" / "run"
        outside = place / "case" / "outside"
        outside.mkdir(parents=True)
        (outside / "precious.txt").write_text("precious\n" * 100, encoding="utf-8")
        shutil.copytree(folder_of(case.base), run)
        target = run / case.target
        denied = None
        if case.damage in DENIED:
            denied = target, DENIED[case.damage]
        else:
            damages.of(target.name, case.damage)(target)
        there, beside = content(run), content(outside)
        damaged = good_lines(target if target.name == "metrics.jsonl" else run / "metrics.jsonl")
        ended = do(case.command, run, denied=denied)
        wrong = unclean(ended)
        own_link = target.is_symlink() and target.is_dir() and case.command != "by another"
        if content(outside) != beside and not own_link:
            wrong.append("a file outside is changed")
        if ended.grown > GROWS:
            wrong.append(f"grows by {ended.grown} MiB")
        if ended.code == 0:
            wrong += [] if wrong else judge_success(case, run, ended, there, damaged)
        else:
            wrong += judge_refusal(case, run, ended, there)
        return str(case), wrong


def judge_refusal(case: Case, run: Path, ended: Ended, there: dict[str, str]) -> list[str]:
    """It should be told well, with nothing touched; and once repaired, nothing is lost."""
    if ended.code == 1 and (case.damage in DENIED or case.base.kind == "sweep"):
        wrong = []
        if case.base.kind != "sweep" and len(errors(ended)) != 1:
            wrong.append(f"not one line: {' / '.join(errors(ended))[:200]}")
    else:
        wrong = not_refused_well(ended)
        changed = [name for name, now in content(run).items() if there.get(name) != now]
        changed += [name for name in there if not os.path.lexists(run / name)]
        if [name for name in changed if Path(name).name != "log.txt"]:
            wrong.append(f"refused, but touched {', '.join(sorted(set(changed)))[:100]}")
    if wrong:
        return wrong
    target, original = run / case.target, folder_of(case.base) / case.target
    if os.path.lexists(target):
        damages.remove(target)
    if original.is_dir():
        shutil.copytree(original, target)
    elif original.exists():
        shutil.copy(original, target)
    again = do(case.command, run)
    if again.code != 0:
        return [f"once repaired, exit code {again.code}: {said(again)}"]
    return [f"once repaired, {d}" for d in unlike(case, run)]


def judge_success(
    case: Case, run: Path, ended: Ended, there: dict[str, str], damaged: Counter[str]
) -> list[str]:
    """It should be the same run; or nothing was to be done; or what was lost was told."""
    warned = "warning: " in ended.err
    if case.command == "draw":
        expected = undamaged(case.base, "draw")[1]
        same = told(ended, run) == expected
        return [] if same or warned else [f"draws something else: {ended.out[-200:]}"]
    different = unlike(case, run)
    found = CHECKPOINT.match(case.target)
    if different and found and warned and case.command == "longer":
        different = differences(undamaged(case.base, "longer", found[0])[0], run)
    usual = told(ended, run) == undamaged(case.base, case.command)[1]
    if content(run) == there and (usual or case.target == "checkpoints"):
        return []  # it had nothing to do there, and read what it had to say elsewhere
    if not different:
        return []
    number, inner = "", case.target
    if case.base.kind == "sweep":
        number, _, inner = case.target.partition("/")
        now = content(run)
        same = all(now.get(name) == was for name, was in there.items() if name.startswith(number))
        if same and (usual or warned):  # a run of the sweep that was done already
            return [d for d in different if not d.startswith(number)]
    top = inner.split("/")[0]
    allowed = str(Path(number, MAY_DIFFER.get(top, "nothing")))
    wrong = [d for d in different if not d.startswith(allowed)]
    if top == "metrics.jsonl":
        expected = undamaged(case.base, case.command)[0]
        return wrong + judge_lines(expected / number, run / number, damaged, warned)
    if not warned and top != "samples":  # nobody knows which there were
        wrong.append(f"silent: {'; '.join(different)}")
    return wrong


def judge_lines(expected: Path, run: Path, damaged: Counter[str], warned: bool) -> list[str]:
    """Every good line that is not written anew should still be there, each once."""
    whole_lines = Counter(map(repr, metrics(expected)))
    lines = Counter(map(repr, metrics(run)))
    good = Counter({line: n for line, n in lines.items() if not line.startswith(("b'", 'b"'))})
    lost, more = whole_lines - lines, good - whole_lines
    wrong = []
    if lost & damaged:
        wrong.append(f"{sum((lost & damaged).values())} good lines lost")
    if more - damaged:
        wrong.append(f"{sum((more - damaged).values())} lines too many")
    if lost and not (warned or more):
        wrong.append(f"{sum(lost.values())} lines lost in silence")
    return wrong


def unlike(case: Case, run: Path) -> list[str]:
    """In what a run, or a sweep's runs, differ from the same command's on an undamaged folder."""
    if case.command == "draw":
        return []
    expected = undamaged(case.base, case.command)[0]
    if case.base.kind != "sweep":
        return differences(expected, run)
    return [f"{n}/{d}" for n in ("0", "1") for d in differences(expected / n, run / n)]


def good_lines(path: Path) -> Counter[str]:
    """The lines of metrics.jsonl that can be read, as `metrics` has them."""
    if not stat.S_ISREG(os.lstat(path).st_mode if os.path.lexists(path) else 0):
        return Counter()
    with path.open("rb") as file:
        lines = file.read(1 << 20).splitlines()
    return Counter(repr(read) for read in map(line_of, lines) if not isinstance(read, bytes))


def content(folder: Path) -> dict[str, str]:
    """What each name in a folder is: its kind, and its content's hash."""
    found = {}
    for path in sorted(folder.rglob("*")):
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            what = f"link {os.readlink(path)}"
        elif not stat.S_ISREG(mode):
            what = f"kind {stat.S_IFMT(mode)}"
        elif path.stat().st_size > 10 << 20:
            what = f"{path.stat().st_size} bytes"
        else:
            what = hashlib.sha256(path.read_bytes()).hexdigest()
        found[str(path.relative_to(folder))] = what
    return found


BASES = [
    Base("plain", True),
    Base("plain", False),
    Base("function", False),
    Base("language", True),
    Base("sweep", True),
]


def every_damage(server: Server, bases: Sequence[Base] = BASES) -> list[Case]:
    """Each file of each base, damaged in each way; the same for the folders where it fits."""
    server.map(whole_of, sorted({base.kind for base in bases}))
    names = dict(zip(bases, server.map(made, bases), strict=True))
    found: list[tuple[Base, str, str, str]] = []
    for base, targets in names.items():
        for target, is_folder in targets:
            for damage in ways(is_folder, target):
                found += [(base, target, damage, command) for command in commands(base)]
    return [Case(number, *case) for number, case in enumerate(thinned(found))]


def ways(is_folder: bool, target: str) -> list[str]:
    """The names of what may happen to it."""
    name = Path(target).name
    if is_folder:
        return [*damages.WHOLE_FOLDERS, *DENIED, *damages.FOLDERS.get(name, {})]
    return [*damages.DAMAGES, *DENIED, *damages.CRAFTED.get(name, {})]


def thinned(found: list[tuple[Base, str, str, str]]) -> list[tuple[Base, str, str, str]]:
    """All of a killed run's resume, and of what is crafted; else one of several."""
    kept = []
    for number, case in enumerate(found):
        base, target, damage, command = case
        name = Path(target).name
        crafted = damage in damages.CRAFTED.get(name, {}) or damage in damages.FOLDERS.get(name, {})
        every = 1 if base == BASES[0] and command == "resume" else 20
        if command == "by another":
            every = 2 if "link" in damage and base.killed else 31
        elif crafted:
            every = min(every, 2)
        if number % every == 0:
            kept.append(case)
    return kept


def check(server: Server, cases: list[Case]) -> None:
    told = table(server.map(meet, cases))
    assert told.startswith("0 of"), told


def test_a_few_damages(server: Server) -> None:
    """One of each file; the others are slow."""
    cases = every_damage(server, BASES[:1])
    check(server, cases[:: len(cases) // 10])


@pytest.mark.slow
def test_every_damage(server: Server) -> None:
    cases = every_damage(server)
    assert len(cases) >= 250
    check(server, cases)
