"""What may have happened to a file of a run folder while nobody looked."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

HUGE = 100 << 20
DEEP = 100_000

Damage = Callable[[Path], None]


def cut(keep: Callable[[int], int]) -> Damage:
    def act(path: Path) -> None:
        os.truncate(path, keep(path.stat().st_size))

    return act


def flip(place: float, bit: int) -> Damage:
    def act(path: Path) -> None:
        data = bytearray(path.read_bytes())
        data[min(int(place * len(data)), len(data) - 1)] ^= 1 << bit
        path.write_bytes(data)

    return act


def holds(content: bytes) -> Damage:
    def act(path: Path) -> None:
        path.write_bytes(content)

    return act


def without_a_line(path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[: len(lines) // 3] + lines[len(lines) // 3 + 1 :]))


def nuls(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def nul_tail(path: Path) -> None:
    """As some file systems leave what was not yet on the disk when the power went."""
    size = path.stat().st_size
    os.truncate(path, size * 2 // 3)
    os.truncate(path, size)


def huge(path: Path) -> None:
    os.truncate(path, 0)
    os.truncate(path, HUGE)


def huge_tail(path: Path) -> None:
    os.truncate(path, HUGE)


def folder(path: Path) -> None:
    remove(path)
    path.mkdir()


def folder_with_something(path: Path) -> None:
    folder(path)
    (path / "something").write_text("here", encoding="utf-8")


def fifo(path: Path) -> None:
    remove(path)
    os.mkfifo(path)


def outside(path: Path) -> Path:
    """A place beside the run folder that nobody may write to."""
    return next(p for p in path.parents if p.name == "case") / "outside"


def link_to_the_same(path: Path) -> None:
    target = outside(path) / path.name
    shutil.move(path, target)
    path.symlink_to(target)


def link_to_another(path: Path) -> None:
    target = outside(path) / "precious.txt"
    remove(path)
    path.symlink_to(target)


def link_to_nothing(path: Path) -> None:
    remove(path)
    path.symlink_to(outside(path) / "nothing" / "there")


def link_to_itself(path: Path) -> None:
    remove(path)
    path.symlink_to(path)


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def device(path: Path) -> None:
    """A file without end."""
    remove(path)
    path.symlink_to("/dev/zero")


DAMAGES: dict[str, Damage] = {
    "cut by a byte": cut(lambda size: size - 1),
    "cut in half": cut(lambda size: size // 2),
    "cut to a tenth": cut(lambda size: size // 10),
    "cut to a byte": cut(lambda size: 1),
    "emptied": cut(lambda size: 0),
    "a bit flipped at the begin": flip(0.0, 2),
    "a bit flipped early": flip(0.13, 0),
    "a bit flipped before the middle": flip(0.37, 1),
    "a bit flipped in the middle": flip(0.52, 4),
    "a bit flipped late": flip(0.83, 6),
    "a high bit flipped": flip(0.61, 7),
    "a bit flipped at the end": flip(1.0, 3),
    "deleted": remove,
    "a line less": without_a_line,
    "a folder": folder,
    "a folder with something": folder_with_something,
    "a fifo": fifo,
    "a link to the same outside": link_to_the_same,
    "a link to another outside": link_to_another,
    "a link to nothing": link_to_nothing,
    "a link to itself": link_to_itself,
    "a link to /dev/zero": device,
    "garbage": holds(random.Random(0).randbytes(3000)),
    "NULs": nuls,
    "NULs at the end": nul_tail,
    "100 MB": huge,
    "100 MB more": huge_tail,
    "deep JSON": holds(b"[" * DEEP),
    "deep JSON objects": holds(b'{"step":' * DEEP + b"1" + b"}" * DEEP + b"\n"),
    "deep YAML": holds(b"- " * 5000 + b"1\n"),
    "aliases": holds(
        b"a: &a [x, x, x, x, x, x, x, x]\n"
        + b"".join(
            b"%c: &%c [%s]\n" % (n + 1, n + 1, b", ".join([b"*%c" % n] * 8)) for n in range(97, 109)
        )
    ),
    "a list": holds(b"[]\n"),
    "a number": holds(b"7\n"),
    "null": holds(b"null\n"),
    "another encoding": holds("größe: naïve\n".encode("latin-1")),
    "a string in a mapping": holds(
        b'{"step": "x", "state": 5, "files": 3, "final": 3, "grid": 1}\n'
    ),
}


def replaced(old: bytes, new: bytes) -> Damage:
    def act(path: Path) -> None:
        path.write_bytes(path.read_bytes().replace(old, new, 1))

    return act


def bad_line(line: bytes) -> Damage:
    """A line more, after the first."""

    def act(path: Path) -> None:
        first, rest = path.read_bytes().split(b"\n", 1)
        path.write_bytes(first + b"\n" + line + b"\n" + rest)

    return act


CRAFTED: dict[str, dict[str, Damage]] = {
    "manifest.json": {
        "very many ranks": replaced(b'"world_size": 1,', b'"world_size": 1000000000,'),
        "ranks below none": replaced(b'"world_size": 1,', b'"world_size": -1,'),
        "another step": replaced(b'"step": ', b'"step": 1'),
        "an endless step": replaced(b'"step": ', b'"step": 1e999, "was": '),
        "a file outside": replaced(b'"state.pt"', b'"../../../outside/precious.txt"'),
    },
    "metrics.jsonl": {
        "a step in words": bad_line(b'{"kind": "train", "step": "two", "epoch": 1}'),
        "a step that is no number": bad_line(b'{"kind": "train", "step": "NaN"}'),
        "an endless step": bad_line(b'{"kind": "train", "step": 1e999}'),
        "a list among lines": bad_line(b"[1, 2]"),
        "an empty line": bad_line(b""),
        "no UTF-8": bad_line(b'{"kind": "\xff\xfe", "step": 2}'),
        "a long number": bad_line(b'{"kind": "train", "step": ' + b"9" * 5000 + b"}"),
        "a value in words": bad_line(
            b'{"kind": "train", "step": 2, "epoch": 0.1, "examples": 1, "train/loss": "x"}'
        ),
    },
    "config.yaml": {
        "shuffle misspelt": replaced(b"shuffle", b"shtffle"),
        "another seed": replaced(b"seed: 0", b"seed: 3"),
        "a secret": replaced(b"name: ", b"name: ${oc.env:PATH} "),
        "a command": replaced(b"optbench.data.digits.digits", b"os.system"),
        "a tag": replaced(b"seed: 0", b"seed: !!python/object/apply:os.getcwd []"),
        "a key twice": replaced(b"seed: 0", b"seed: 0\nseed: 1"),
    },
    "status.json": {
        "another state": replaced(b'"state": "', b'"state": "un'),
        "finished": replaced(b'"running"', b'"finished"'),
        "running": replaced(b'"finished"', b'"running"'),
        "a step in words": replaced(b'"step": ', b'"step": "x", "was": '),
    },
    "summary.json": {
        "final of words": replaced(b'"final": {', b'"final": "x", "was": {'),
        "best of a list": replaced(b'"best": {', b'"best": [1], "was": {'),
        "metrics of words": replaced(b'"train/loss": ', b'"train/loss": "x", "was": '),
        "a target of words": replaced(b'"target": {', b'"target": {"metric": "x"'),
    },
    "sweep.yaml": {
        "a grid of numbers": holds(b"grid: [[1], [2]]\noverrides: []\nconfig_dir: null\n"),
        "a grid of none": holds(b"grid: null\noverrides: []\nconfig_dir: null\n"),
        "no grid": holds(b"overrides: []\nconfig_dir: null\n"),
        "a folder of numbers": replaced(b"config_dir: null", b"config_dir: 5"),
    },
    "overrides.yaml": {
        "choices of a list": holds(b"overrides: []\nchoices: [1, 2]\n"),
        "overrides of a number": holds(b"overrides: 5\nchoices: {}\n"),
    },
}
"""What a file of a name may have been changed to, so that it is still read."""


def file_there(name: str) -> Damage:
    def act(path: Path) -> None:
        (path / name).write_text("stray", encoding="utf-8")

    return act


def folder_there(name: str) -> Damage:
    def act(path: Path) -> None:
        (path / name).mkdir()

    return act


FOLDERS: dict[str, dict[str, Damage]] = {
    "checkpoints": {
        "a stray file": file_there("step-99999999"),
        "a stray folder": folder_there("step-99999999"),
        "a folder of another name": folder_there("step-x"),
        "a stray .tmp file": file_there("step-00000099.tmp"),
        "a stray .old file": file_there("step-00000099.old"),
    },
    "samples": {
        "a stray folder": folder_there("step-x"),
        "a stray file": file_there("step-00000001"),
    },
    "tb": {
        "a stray file": file_there("events.out.tfevents.1"),
        "a stray folder": folder_there("events.out.tfevents.2"),
    },
}
"""What may be in a folder that should not."""

WHOLE_FOLDERS = (
    *("deleted", "a fifo", "a link to the same outside", "a link to nothing", "a link to itself"),
    "a file",
)


def a_file(path: Path) -> None:
    remove(path)
    path.write_text("stray", encoding="utf-8")


def of(target: str, name: str) -> Damage:
    """The damage of a name, to a file or folder of a name."""
    mine = {**DAMAGES, "a file": a_file, **CRAFTED.get(target, {}), **FOLDERS.get(target, {})}
    return mine[name]
