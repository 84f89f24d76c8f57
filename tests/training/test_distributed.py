"""Two ranks under torchrun, on one machine, by gloo."""

from __future__ import annotations

import re
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from optbench.training import checkpoint

from .ranks import ended, once, ranks, torchrun, train_arguments
from .runs import assert_same_run, metrics_of, newest, small, status_of, train

# 451 training examples: the tenth and last step of an epoch has one, of which rank 0 gets none.
# 49 for validation and 101 for the test: neither can be halved.
RUN = [
    "dataset=synthetic",
    "dataset.shape=[1,6,6]",
    "dataset.train_size=500",
    "dataset.test_size=101",
    "dataset.val_fraction=0.098",
    "dataset.crop=1",
    "dataset.flip=true",
    "batch_size=50",
    "accumulate=2",
    "eval.batch_size=20",
    "optimizer=adamw",
    "schedule=cosine",
    "schedule.warmup_steps=5",
    "checkpoint.every=7",
    "checkpoint.keep_last=50",
    "steps=230",
]
DROPOUT = "model.dropout=0.2"
SIZES = {"val": 49, "test": 101}


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs in one launch, without dropout and with it."""

    def fill(folder: Path) -> None:
        grid = [*small(*RUN, "model.dropout=0,0.2"), f"hydra.sweep.dir={folder / 'sweep'}"]
        assert ranks(["train", "-m", *grid]).count("finished at step 230") == 2

    return once(tmp_path_factory, "ranks-sweep", fill) / "sweep"


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run without dropout, by one process."""
    folder = tmp_path_factory.mktemp("alone") / "run"
    assert train(folder, *RUN) == 0
    return folder


def read(folder: Path, step: int, name: str) -> dict[str, Any]:
    path = folder / "checkpoints" / f"step-{step:08d}" / name
    loaded: dict[str, Any] = torch.load(path, weights_only=True)
    return loaded


def weights(folder: Path, step: int) -> torch.Tensor:
    module = read(folder, step, "state.pt")["players"]["model"]["module"]
    return torch.cat([tensor.double().flatten() for tensor in module.values()])


def test_two_ranks_equal_one_process(sweep: Path, alone: Path) -> None:
    together, by_one = weights(sweep / "0", 56), weights(alone, 56)
    assert torch.dist(together, by_one) <= 1e-5 * by_one.norm()
    assert torch.dist(by_one, weights(alone, 49)) > 1e-2 * by_one.norm()


def test_two_ranks_report_what_one_process_reports(sweep: Path, alone: Path) -> None:
    """The loss, the gradient norms and the scores are the whole batch's, not rank 0's."""
    for ours, theirs in zip(metrics_of(sweep / "0"), metrics_of(alone), strict=True):
        assert list(ours) == list(theirs)
        assert ours.pop("kind") == theirs.pop("kind")
        if ours["step"] <= 50:
            assert ours == pytest.approx(theirs, rel=1e-4, abs=1e-6)


def test_every_example_is_scored_once(sweep: Path) -> None:
    for number in "01":
        for line in metrics_of(sweep / number):
            for kind, size in SIZES.items():
                right = line.get(f"{kind}/accuracy", 0.0) * size
                assert right == pytest.approx(round(right), abs=1e-9)


def test_ranks_draw_different_random_numbers(sweep: Path) -> None:
    states = [read(sweep / "1", 230, f"rank-{rank}.pt")["rng"] for rank in (0, 1)]
    assert not torch.equal(states[0]["torch"], states[1]["torch"])
    assert not torch.equal(states[0]["numpy"][1], states[1]["numpy"][1])
    assert states[0]["python"] != states[1]["python"]


def test_only_rank_0_leaves_files_outside_the_checkpoints(sweep: Path) -> None:
    assert sorted(path.name for path in sweep.iterdir()) == ["0", "1", "sweep.yaml"]
    for run in (sweep / "0", sweep / "1"):
        assert len(list((run / "tb").iterdir())) == 1
        steps = [m["step"] for m in metrics_of(run) if m["kind"] == "val"]
        assert steps == sorted(set(steps))
        names = {path.name for path in newest(run).iterdir()}
        assert names == {"manifest.json", "state.pt", "rank-0.pt", "rank-1.pt"}


@pytest.mark.slow
def test_a_run_that_is_stopped_and_killed_ends_with_the_same_bits(sweep: Path) -> None:
    """SIGTERM to one rank; resumed; SIGKILL to both; resumed to the end."""
    folder = Path("runs/run").absolute()
    Path("program.py").write_text(SIGNALLED, encoding="utf-8")
    stop_one_rank(train_arguments(folder, *RUN, DROPOUT), folder)
    kill_both_ranks(["resume", str(folder)], folder)
    ranks(["resume", str(folder)])
    assert_same_run(sweep / "1", folder)
    assert [path.name for path in Path("runs").iterdir()] == ["run"]


def last_step(folder: Path) -> int:
    return max(checkpoint.steps(folder / "checkpoints"), default=0)


SIGNALLED = """
import os, signal, sys
from pathlib import Path
from optbench.__main__ import main
from optbench.monitor.record import Recorder

number, step, rank = int(sys.argv.pop(1)), int(sys.argv.pop(1)), os.environ["RANK"]
mine, other = Path(f"pid-{rank}"), Path("pid-1")
mine.write_text(str(os.getpid()), encoding="utf-8")
tick = Recorder.tick

def signalled(self, now):
    tick(self, now)
    if now != step:
        return
    if number == signal.SIGTERM and rank == "1":
        os.kill(os.getpid(), number)
    if number == signal.SIGKILL and rank == "0":
        os.kill(int(other.read_text(encoding="utf-8")), number)
        os.kill(os.getpid(), number)

Recorder.tick = signalled
main()
"""
"""At a step rank 1 gets a SIGTERM, or both a SIGKILL; from outside it could come too late."""


def signalled(number: int, step: int, arguments: list[str]) -> tuple[int, str]:
    return ended(torchrun(["program.py"], [str(int(number)), str(step), *arguments]))


def stop_one_rank(arguments: list[str], folder: Path) -> None:
    code, said = signalled(signal.SIGTERM, 30, arguments)
    assert code != 0
    status = status_of(folder)
    assert status["state"] == "preempted" and 30 <= status["step"] < 40, said
    assert f"preempted at step {status['step']}" in said
    assert last_step(folder) == status["step"]
    # torchrun may terminate the one that is still on its way out when the other has gone.
    codes = set(re.findall(r"exitcode\s*:\s*(-?\d+)", said))
    assert "143" in codes and codes <= {"143", "-15"}, said


def kill_both_ranks(arguments: list[str], folder: Path) -> None:
    _, said = signalled(signal.SIGKILL, 75, arguments)
    assert status_of(folder)["state"] == "running", said
    assert last_step(folder) == 70
