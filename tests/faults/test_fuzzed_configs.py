"""Whatever is on the command line or in a user's YAML is used, or refused in one line.

No traceback, no folder left behind by what is refused, no hanging, no memory without end.
"""

from __future__ import annotations

import os
import resource
import shutil
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from cli.conftest import set_up
from cli.program import Answer, call
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .strategies import COMMANDS, FITTING, OTHERS, mutated

SECONDS = 30
"""For a command that takes a fraction of one."""
MEMORY = 6 * 2**30
"""More than it has already, for one that would take all."""
SMALL = (
    *("threads=1", "device=cpu", "steps=1", "eval.every=0", "checkpoint=none"),
    "compile=false",
)

# mypy: disable-error-code="attr-defined"
FEW = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
MANY = settings(FEW, max_examples=1000)


@pytest.fixture(scope="module", autouse=True)
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An empty folder to work in, with an end to time and memory."""
    folder = tmp_path_factory.mktemp("fuzzed") / "work"
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * 4096
    old = signal.signal(signal.SIGALRM, _too_long)
    with pytest.MonkeyPatch.context() as patch:
        set_up(folder, patch)
        patch.setattr("urllib.request.urlopen", _offline)
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, hard))
        yield folder
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    signal.signal(signal.SIGALRM, old)


def _offline(*_: Any, **__: Any) -> None:
    raise OSError("no network here")


def _too_long(*_: Any) -> None:
    raise TimeoutError(f"not done after {SECONDS} s")


def check(words: Sequence[str]) -> Answer:
    """Runs a command line, which has to keep what is promised."""
    signal.alarm(SECONDS)
    try:
        answer = call(words)
    finally:
        signal.alarm(0)
        left = set(os.listdir()) - {"cfg"}
        for name in left:
            path = Path(name)
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    assert answer.code in (0, 1, 2), answer
    assert "Traceback" not in answer.err, answer.err
    if answer.code == 2:
        assert answer.err.startswith("optbench: ")
        assert answer.err.count("\n") == 1
        assert "\x1b" not in answer.err and "\r" not in answer.err
        assert not left
    return answer


def composed(lines: Sequence[str]) -> None:
    check(["train", "--cfg", "job", *lines])


def trained(lines: Sequence[str]) -> None:
    check(["train", *lines, *SMALL])


def swept(lines: Sequence[str]) -> None:
    few = [line for line in lines if "seed" not in line]
    check(["train", "-m", *few, *SMALL, "seed=-1,0"])  # the first is refused, so none begins


def other(words: Sequence[str]) -> None:
    if words[0] != "find-lr":
        check(words)
    else:  # last, so that what is trained is little
        check([*words, "threads=1", "device=cpu", "--steps=4", "--seeds=1"])


def from_file(file: tuple[str, bytes]) -> None:
    group, content = file
    folder = Path("cfg", group)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "mine.yaml").write_bytes(content)
    check(["train", "--config-dir", "cfg", "--cfg", "job", f"{group}=mine"])


@FEW
@given(COMMANDS)
def test_whatever_is_composed_is_used_or_refused(lines: list[str]) -> None:
    composed(lines)


@settings(FEW, max_examples=10)
@given(FITTING)
def test_whatever_is_trained_is_used_or_refused(lines: list[str]) -> None:
    trained(lines)


@settings(FEW, max_examples=10)
@given(COMMANDS)
def test_whatever_is_swept_is_refused_before_it_begins(lines: list[str]) -> None:
    swept(lines)


@settings(FEW, max_examples=20)
@given(mutated())
def test_whatever_a_file_says_is_used_or_refused(file: tuple[str, bytes]) -> None:
    from_file(file)


@settings(FEW, max_examples=20)
@given(OTHERS)
def test_whatever_other_verbs_are_given_is_used_or_refused(words: list[str]) -> None:
    other(words)


@pytest.mark.slow
@MANY
@given(st.data())
def test_many_more(data: st.DataObject) -> None:
    way, what = data.draw(
        st.sampled_from(
            [*[(composed, COMMANDS)] * 5, (trained, FITTING), (swept, COMMANDS), (other, OTHERS)]
            + [(from_file, mutated())] * 3
        )
    )
    way(data.draw(what))
