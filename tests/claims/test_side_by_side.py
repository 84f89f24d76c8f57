"""`optbench claim --all at_once=N`: each claim by a process, which ends with its parent."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.program import call

from .conftest import CLAIM, write

ALL = "claim --all --config-dir own"


def test_claims_side_by_side_say_what_they_say_in_turn(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(workplace / "own" / "claim" / "other.yaml", CLAIM.replace("sgd", "adam"))
    write(workplace / "own" / "claim" / "lost.yaml", CLAIM.replace("every: ", "every: model=no "))
    names = ["lost", "other", "tiny"]
    monkeypatch.setattr("optbench.claims.verb.names_of_claims", lambda composer: names)
    beside = call(f"{ALL} at_once=2 --out beside --json")
    in_turn = call(f"{ALL} --out turn --json")
    assert beside.code == in_turn.code == 1
    one, other = json.loads(beside.out), json.loads(in_turn.out)
    assert one["failed"] == other["failed"] == ["lost"]
    assert "model=no: no such model" in beside.err
    assert [each["cases"] for each in one["claims"]] == [each["cases"] for each in other["claims"]]
    assert [each["claim"] for each in one["claims"]] == ["other", "tiny"]
    again = call(f"{ALL} at_once=2 --out beside --json")
    assert again.out == beside.out and "sweep" not in again.err


PARENT = """
from optbench.claims.testing import Where, side_by_side

print(list(side_by_side(["tiny"], ["steps=1000000"], 1, Where("runs", "own"))))
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_process_ends_with_its_parent(workplace: Path, number: signal.Signals) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen([sys.executable, "-c", PARENT], env=environment) as parent:
        try:
            assert _until(lambda: [*workplace.glob("runs/quick/tiny-*/*/0/config.yaml")], 60)
            (child,) = _children(parent.pid)
            parent.send_signal(number)
            parent.wait(40)
            assert _until(lambda: not Path(f"/proc/{child}").exists(), 40)
        finally:
            parent.kill()


def _children(parent: int) -> list[int]:
    text = Path(f"/proc/{parent}/task/{parent}/children").read_text(encoding="ascii")
    return [int(word) for word in text.split()]


def _until(answer: object, seconds: float) -> object:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = answer()  # type: ignore[operator]
        if found:
            return found
        time.sleep(0.1)
    return None
