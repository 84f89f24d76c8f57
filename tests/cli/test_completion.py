"""Tab completion: what is offered, and what `-sc` can't be asked."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from optbench.cli.main import VERBS
from optbench.completion import FLAGS, SWITCHES

from .program import call
from .test_help_and_list import complete

FLAGGED = [(verb, flag) for verb, own in FLAGS.items() for flag in own if flag != "--help"]
VALUES = {"--fit": "1:2", "--cfg": "job", "--png": "x.png"}


def test_each_verb_is_known() -> None:
    assert list(FLAGS) == list(VERBS)
    assert all("--help" in own for own in FLAGS.values())


@pytest.mark.parametrize(("verb", "flag"), FLAGGED)
def test_a_flag_that_is_offered_is_one_of_the_verbs(verb: str, flag: str) -> None:
    """Another word is what the verb refuses."""
    value = (
        ""
        if flag in SWITCHES
        else {"--fit": "1:2", "--cfg": "job", "--png": "x.png"}.get(flag, "all")
    )
    answer = call(f"{verb} {flag} {value} --nonsense")
    assert answer.code == 2
    assert answer.err.startswith("optbench: --nonsense: no such flag")


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("optbench train --con", ["--config-dir"]),
        ("optbench train --exp", []),
        ("optbench resume runs/x --t", ["--to", "--trust"]),
        ("optbench evaluate runs/x --a", ["--at"]),
        ("optbench tune --", ["--config-dir", "--help"]),
        ("optbench nonsense --", []),
        ("optbench find-lr --steps 10 --fr", ["--from"]),
        ("optbench find-lr --steps 10 epo", ["epochs="]),
        ("optbench evaluate runs/x --json --at last epo", ["epochs="]),
        ("optbench show --png schedule=cosi", []),
        ("optbench show --png=x.png schedule=cosine_", ["schedule=cosine_restarts"]),
        ("optbench train -m --config-dir . epo", ["epochs="]),
        ("optbench train --config-dir ", []),
        ("optbench resume ", []),
    ],
)
def test_flags_are_completed_and_passed_over(
    line: str, offered: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert complete(line, monkeypatch) == offered


def test_what_stands_behind_the_cursor_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMP_LINE", "optbench train epo --at best")
    monkeypatch.setenv("COMP_POINT", "18")
    assert call("-sc query=bash").out == "epochs=\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("-sc", "-sc: expected -sc install=bash|fish|zsh"),
        ("--shell-completion", "--shell-completion: expected --shell-completion install=bash|"),
        ("-sc bash", "-sc bash: expected -sc install=bash|fish|zsh"),
        ("-sc install=bash install=zsh", "-sc install=bash install=zsh: expected -sc install="),
        ("-sc install=", "-sc install=: no such shell; choose from bash, fish, zsh"),
        ("-sc query=bash", "-sc query=bash: for the shell to ask; begin with -sc install=bash"),
    ],
)
def test_what_can_not_be_asked_is_a_line(
    words: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COMP_LINE", raising=False)
    answer = call(words)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith(f"optbench: {said}") and answer.err.count("\n") == 1


@pytest.mark.parametrize("words", [["-sc", "install=zsh"], ["train", "--info", "all"]])
def test_a_pipe_that_nobody_reads_ends_it_quietly(words: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "optbench", *words], stdout=writing, stderr=subprocess.PIPE
        )
    finally:
        os.close(writing)
    assert ended.stderr == b"" and ended.returncode in (0, 1)
