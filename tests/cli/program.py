"""The program, run in this process, and what it leaves."""

from __future__ import annotations

import contextlib
import io
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from optbench.cli.main import main
from optbench.rundir import RunDir

SMALL = "threads=1 device=cpu model.hidden=[8]"
"""Overrides of every run here."""


@dataclass(frozen=True)
class Answer:
    """What a command gave: its exit code, and what it wrote."""

    code: int
    out: str
    err: str


Program = Callable[[str], Answer]


def call(line: str | Sequence[str]) -> Answer:
    """`optbench LINE`, or its words."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(shlex.split(line) if isinstance(line, str) else line)
    return Answer(code, out.getvalue(), err.getvalue())


def table_lines(out: str) -> list[str]:
    """The lines of a printed table, those joined to one that a narrow one has cut in several."""
    lines: list[str] = []
    for line in out.split("\n\n")[0].splitlines():
        if line.startswith("  ") and lines:
            lines[-1] += f" {line.strip()}"
        else:
            lines.append(line)
    return lines


def train(line: str, folder: Path) -> RunDir:
    """A small run into a folder of its own, which has to end well."""
    answer = call(f"train {SMALL} {line} hydra.run.dir='{folder}'")
    assert answer.code == 0, answer.err
    return RunDir(folder)


def records(folder: RunDir, kind: str) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl of one kind."""
    return [record for record in folder.read_metrics() if record["kind"] == kind]


def left_in(folder: Path) -> list[str]:
    """All files and folders below a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def final_state(folder: RunDir) -> dict[str, Any]:
    """What the newest checkpoint holds, but the seconds that the training took."""
    newest = max(folder.checkpoints.iterdir())
    state = {path.name: torch.load(path, weights_only=True) for path in newest.glob("*.pt")}
    for key in ("seconds", "optimizer_seconds"):
        state["state.pt"]["progress"].pop(key)
    state["state.pt"].pop("watching")
    return state


def assert_same_bits(one: Any, other: Any, at: str = "") -> None:
    """Nested plain data, equal to the last bit."""
    assert type(one) is type(other), at
    if isinstance(one, Tensor):
        assert one.dtype == other.dtype, at
        assert torch.equal(one, other), at
    elif isinstance(one, Mapping):
        assert one.keys() == other.keys(), at
        for key in one:
            assert_same_bits(one[key], other[key], f"{at}.{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), at
        for number, (left, right) in enumerate(zip(one, other, strict=True)):
            assert_same_bits(left, right, f"{at}[{number}]")
    else:
        assert one == other, at
