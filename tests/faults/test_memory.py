"""A run that asks for more memory than there is: it alone fails, in a line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from optbench.errors import UserError, memory_wanting
from optbench.rundir import RunDir

LIMITED = """
import pathlib, resource, sys
import optbench.assemble.experiment, optbench.runs.execute
from optbench.cli.main import main
pages = int(pathlib.Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
bytes = pages * resource.getpagesize() + int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_AS, (bytes, bytes))
sys.exit(main(sys.argv[2:]))
"""
WIDE = 8000
"""Weights of 256 MB, as many gradients, twice as much of Adam: all in all more than there is."""
MORE = 700 << 20


def limited(line: str, more: int = MORE) -> subprocess.CompletedProcess[str]:
    """Runs `optbench LINE` with so many bytes more than the program itself takes."""
    return subprocess.run(
        [sys.executable, "-c", LIMITED, str(more), *line.split()],
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["serial", "local executor.workers=1"])
@pytest.mark.parametrize("verb", ["sweep", "tune"])
def test_a_run_that_wants_too_much_fails_alone_and_in_a_line(
    executor: str, verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    hidden = f"[8],[{WIDE},{WIDE}],[9]"
    runs = "steps=4 eval.every=2 threads=1 device=cpu optimizer=adam monitor.tensorboard=false"
    line = f"train -m {runs} model.hidden={hidden}"
    if verb == "tune":
        pytest.importorskip("optuna")
        line = f"tune {runs} sampler=grid search={{model.hidden:{{choice:[{hidden}]}}}}"
    ended = limited(f"{line} executor={executor} hydra.sweep.dir=s")
    assert "Traceback" not in ended.stderr + ended.stdout
    told = [line for line in ended.stderr.splitlines() if "not enough memory to allocate" in line]
    assert len(told) == 1, ended.stderr
    states = [RunDir(tmp_path / f"s/{n}").state for n in range(3)]
    assert sorted(map(str, states)) == ["failed", "finished", "finished"]
    assert ended.returncode == (1 if verb == "sweep" else 0), ended.stderr


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError(), "not enough memory"),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: you tried to allocate 900 bytes. E"),
            "not enough memory to allocate 900 bytes",
        ),
        (
            type("OutOfMemoryError", (RuntimeError,), {})("CUDA: Tried to allocate 2.00 GiB. GPU"),
            "not enough memory on the GPU to allocate 2.00 GiB",
        ),
        (
            ImportError("libtorch_cpu.so: failed to map segment from shared object"),
            "not enough memory to load libtorch_cpu.so (see ulimit -v)",
        ),
        (ImportError("no module named x"), None),
        (RuntimeError("allocate 3 bytes"), None),
        (UserError("model: no such key"), None),
    ],
)
def test_want_of_memory_is_told_in_words(error: Exception, said: str | None) -> None:
    assert memory_wanting(error) == said


def test_a_limit_too_small_to_load_torch_is_a_line(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from optbench.cli import main, training

    def unloadable(arguments: list[str]) -> int:
        raise ImportError("libtorch_cpu.so: failed to map segment from shared object")

    monkeypatch.setattr(training, "train", unloadable)
    assert main.main(["train", "steps=3"]) == 1
    err = capfd.readouterr().err
    assert err == "optbench: not enough memory to load libtorch_cpu.so (see ulimit -v)\n"
