"""The harness itself: it sees what a run does to its folder, and does what it is told to."""

from __future__ import annotations

import errno
from pathlib import Path

from . import compare
from .scenarios import errors, own_folder, table, train, whole, whole_of
from .server import Fault, Server


def test_it_sees_every_byte(server: Server) -> None:
    assert server.map(sizes, ["plain"]) == [[]]


def sizes(kind: str) -> list[str]:
    """The files of a run that are not as large as what was seen to be written to them."""
    folder, ended = whole(kind)
    seen: dict[str, int] = {}
    for name, path, size in ended.operations:
        if name == "open" and "/tmp" not in path:
            seen[path] = 0
        seen[path] = seen.get(path, 0) + size
    grown = [path for path in folder.rglob("*") if path.suffix in (".jsonl", ".txt")]
    grown += list(folder.glob("tb/*"))
    assert len(grown) >= 3
    names = {name for name, _, _ in ended.operations}
    assert names >= {"open", "write", "rename", "mkdir", "unlink", "rmdir", "fsync"}
    return [str(p) for p in grown if p.stat().st_size != seen[f"/{p.relative_to(folder)}"]]


def test_it_kills_and_fails_where_it_is_told_to(server: Server) -> None:
    number = next(
        number
        for number, (name, path, _) in enumerate(server.map(whole_of, ["plain"])[0].operations, 1)
        if name == "write" and path == "/metrics.jsonl"
    )
    assert server.map(harmed, [("kill before", number), ("kill within", number)]) == [0, "half"]
    assert server.map(harmed, [("fail from", number), ("fail short", number)]) == [0, "half"]


def harmed(fault: tuple[str, int]) -> object:
    """The size of metrics.jsonl after a fault in its first writing, `half` if it is about that."""
    with own_folder(" ".join(map(str, fault))) as place:
        ended = train("plain", place / "run", Fault(*fault, error=errno.ENOSPC))
        assert ended.killed == fault[0].startswith("kill")
        assert ended.killed or (ended.code == 1 and errors(ended))
        meant = ended.operations[fault[1] - 1][2]
        size = (place / "run" / "metrics.jsonl").stat().st_size
        return "half" if size == meant // 2 else size


def test_it_tells_runs_apart(server: Server) -> None:
    same, other = server.map(against_plain, ["plain", "momentum"])
    assert not same
    assert {line.partition(":")[0] for line in other} >= {"metrics", "tensorboard", "checkpoint"}


def against_plain(kind: str) -> list[str]:
    with own_folder(f"again {kind}") as place:
        train(kind, place / "run")
        return compare.differences(whole("plain")[0], place / "run")


def test_the_table_names_what_fails(tmp_path: Path) -> None:
    assert table([("a", []), ("b", ["x", "y"])]) == "1 of 2 cases failed\nb: x; y"
