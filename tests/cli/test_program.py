"""optbench.__main__: the process around the command line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from .program import call

INTERRUPTED_AT_ITS_END = """
import atexit, os, signal, sys
import optbench.cli.main as line
from optbench.__main__ import main

atexit.register(os.kill, os.getpid(), signal.SIGINT)
line.main = lambda: 130
signal.signal(signal.SIGINT, signal.default_int_handler)  # as in a terminal
main()
"""


RANKS_AT_ITS_END = """
import atexit, sys
import torch.distributed as dist
import optbench.cli.main as line
from optbench.__main__ import main

class Owned:
    def __del__(self):
        print("Python took itself apart")

if sys.argv[1] == "ranks":
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
atexit.register(print, "its exit functions ran")
owned = Owned()
line.main = lambda: 3
main()
"""


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("one", ["its exit functions ran", "Python took itself apart"]),
        ("ranks", ["its exit functions ran"]),
    ],
)
def test_a_rank_goes_before_python_takes_itself_apart(kind: str, said: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", RANKS_AT_ITS_END, kind], capture_output=True, encoding="utf-8"
    )
    assert (done.returncode, done.stderr, done.stdout.splitlines()) == (3, "", said)


def test_an_interrupt_as_the_program_exits_changes_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_AT_ITS_END], capture_output=True, encoding="utf-8"
    )
    assert (done.returncode, done.stderr) == (130, "")


def test_the_version_is_ours_whatever_verb_is_before_it() -> None:
    assert call("train --version") == call("check --version") == call("--version")


def test_a_folder_that_was_removed_is_told(tmp_path: Path) -> None:
    code = (
        "import os, shutil, sys; from optbench.cli.main import main; "
        "os.chdir(sys.argv[1]); shutil.rmtree(sys.argv[1]); sys.exit(main(['list', 'model']))"
    )
    gone = tmp_path / "gone"
    gone.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", code, str(gone)], capture_output=True, encoding="utf-8"
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "optbench: the folder it is called in was removed: cd to another\n"
