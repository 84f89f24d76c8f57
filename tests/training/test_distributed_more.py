"""Two ranks with what else can go wrong between them. Each test is a launch or two."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from optbench.training import checkpoint

from .ranks import ended, ranks, torchrun, train_arguments
from .runs import assert_same_run, metrics_of, resume, small, status_of, train
from .test_distributed import RUN, weights

pytestmark = pytest.mark.slow

SHORT = [*RUN[:-1], "steps=50"]


IN_DOUBLE = """
import sys
import torch
from torch.nn.modules.module import register_module_forward_pre_hook
from optbench.__main__ import main

def doubled(module, inputs):
    return tuple(x.double() if x.is_floating_point() else x for x in inputs)

torch.set_default_dtype(torch.float64)
register_module_forward_pre_hook(doubled)
main()
"""
"""The command line in float64, where another order of summation is all but nothing. In float32 two
sound runs can part at one step, on one CPU and not on another, a thousand times what they differed
by before."""


def both(*overrides: str) -> tuple[Path, Path]:
    """The same run by one process and by two ranks, in float64."""
    Path("program.py").write_text(IN_DOUBLE, encoding="utf-8")
    alone = [sys.executable, "program.py", *train_arguments(Path("alone"), *overrides)]
    by_one = subprocess.run(
        alone, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", check=False
    )
    assert by_one.returncode == 0, by_one.stdout
    ranks(train_arguments(Path("together"), *overrides), program=("program.py",))
    return Path("alone"), Path("together")


def error_of_training(one: Path, right: Path, since: int, step: int) -> float:
    """How far off the weights are at a step, for each unit that the training moved them."""
    a, b = weights(one, step), weights(right, step)
    return float(torch.dist(a, b) / torch.dist(b, weights(right, since)))


@pytest.mark.parametrize(
    "overrides",
    [
        ["optimizer=sgd", "optimizer.momentum=0.9", "clip.norm=0.1"],
        ["optimizer=muon", "accumulate=3"],
        ["optimizer=zoo", "optimizer.name=adalomo"],
        ["model=2c2d", "dataset.shape=[1,8,8]", "optimizer=sgd"],
        ["activation_checkpointing=true"],
    ],
    ids=" ".join,
)
def test_two_ranks_equal_one_process(overrides: list[str]) -> None:
    alone, together = both(*SHORT, *overrides)
    assert error_of_training(together, alone, since=7, step=49) <= 1e-12


@pytest.mark.parametrize("method", ["cholesky", "ekfac"])
def test_kfac_averages_factors_and_shares_out_inverses(method: str) -> None:
    often = ["optimizer.factors_every=2", "optimizer.inverses_every=4", "optimizer.damping=1e-2"]
    model = ["accumulate=3", "model.batch_norm=false", f"optimizer.method={method}"]
    alone, together = both(*SHORT, "optimizer=kfac", *often, *model)
    assert error_of_training(together, alone, since=7, step=49) <= 1e-9


def test_ranks_that_share_out_matrices_save_all_momenta() -> None:
    name = ["optimizer=zoo", "optimizer.name=distributedmuon"]
    alone, together = both(*SHORT, *name, "model.hidden=[24,16]")  # of two shapes
    assert error_of_training(together, alone, since=7, step=49) <= 1e-12
    one, other = momenta(alone), momenta(together)
    assert len(one) == len(other) == 2
    for a, b in zip(one, other, strict=True):
        assert torch.dist(a, b) <= 1e-12 * a.norm()


def momenta(folder: Path) -> list[torch.Tensor]:
    saved = torch.load(folder / "checkpoints/step-00000049/state.pt", weights_only=True)
    states = saved["players"]["model"]["optimizer"]["state"].values()
    return [state["momentum_buffer"] for state in states if "momentum_buffer" in state]


def test_lbfgs_sees_the_loss_of_the_whole_batch_on_every_rank() -> None:
    """Else its line searches part, and the ranks wait for each other for ever."""
    overrides = ["optimizer=lbfgs", "optimizer.lr=0.5", "steps=8", "checkpoint.every=1"]
    alone, together = both(*SHORT[:-1], *overrides)
    # Its searches magnify what rounding there is, a thousand times and more in one step.
    for step, limit in ((2, 1e-9), (8, 1e-7)):
        assert error_of_training(together, alone, since=1, step=step) <= limit


def test_fp16_skips_on_all_ranks_together() -> None:
    ranks(train_arguments(Path("run"), *SHORT, "precision=fp16"))
    assert status_of(Path("run"))["state"] == "finished"


def test_checkpoints_and_scores_after_every_step() -> None:
    more = ["checkpoint.every=1", "checkpoint.keep_last=3", "eval.every=1", "monitor.every=1"]
    ranks(train_arguments(Path("run"), *SHORT, *more))
    assert checkpoint.steps(Path("run/checkpoints"))[-3:] == [48, 49, 50]
    for step in checkpoint.steps(Path("run/checkpoints")):
        assert checkpoint.damage(Path(f"run/checkpoints/step-{step:08d}")) is None


def test_writing_in_a_thread_is_refused() -> None:
    """Its exchanges with the other ranks would mix with the training's."""
    arguments = train_arguments(Path("run"), *SHORT, "checkpoint.async_write=true")
    code, said = ended(torchrun(["-m", "optbench"], arguments))
    assert code != 0 and not Path("run").exists()
    assert said.count("optbench: checkpoint.async_write=true: only with one rank") == 1


def test_batch_statistics_are_rank_0s_in_every_score() -> None:
    """The scores reported are those of the model that was saved."""
    more = ["model.batch_norm=true", "dataset.val_fraction=0.1", "eval.every=1"]
    ranks(train_arguments(Path("run"), *SHORT, *more))
    last = [m for m in metrics_of(Path("run")) if m["kind"] == "test"][-1]
    checked = resumed_score(Path("run"))
    assert checked == pytest.approx(last["test/loss"], rel=1e-5)


def resumed_score(folder: Path) -> float:
    """The test loss of the saved model, by one process: what is left of a run at its last step."""
    (folder / "status.json").unlink()
    assert resume(folder) == 0
    return float([m for m in metrics_of(folder) if m["kind"] == "test"][-1]["test/loss"])


def test_early_stopping_stops_all_ranks() -> None:
    more = ["early_stopping.patience=2", "eval.every=2", "optimizer.lr=0"]
    ranks(train_arguments(Path("run"), *SHORT, *more))
    assert status_of(Path("run"))["state"] == "stopped_early"
    assert status_of(Path("run"))["step"] == 6


def test_a_run_of_two_ranks_goes_on_by_one(capsys: pytest.CaptureFixture[str]) -> None:
    ranks(train_arguments(Path("run"), *SHORT))
    assert resume(Path("run"), "steps=70") == 0
    (warning,) = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    assert "doctor: schedule_restarted" in warning  # for a longer one has a jump
    assert status_of(Path("run"))["step"] == 70


def test_a_run_of_one_goes_on_by_two() -> None:
    assert train(Path("run"), *SHORT) == 0
    said = ranks(["resume", str(Path("run").absolute()), "steps=70"])
    assert said.count("rank 1 has no part in the checkpoint") == 1
    assert status_of(Path("run"))["step"] == 70


def test_the_same_launch_twice_gives_the_same_bits() -> None:
    for name in ("one", "other"):
        ranks(train_arguments(Path(name), *SHORT, "model.dropout=0.2"))
    assert_same_run(Path("one"), Path("other"))


NAN_ON_ONE_RANK = """
import os, sys
from optbench.__main__ import main
from optbench.monitor.record import Recorder
from optbench.tasks.classification import Classification

BAD_STEP, RANK, loss_of, done = int(sys.argv.pop(1)), os.environ["RANK"], Classification.loss, [0]

def loss(self, *arguments):
    bad = RANK == "1" and done[0] == BAD_STEP - 1
    return loss_of(self, *arguments) * (float("nan") if bad else 1.0)

Classification.loss = loss
Recorder.tick = lambda self, step: done.__setitem__(0, step)
main()
"""


@pytest.mark.parametrize("step", [20, 47])
def test_a_loss_that_is_not_finite_on_one_rank_stops_all(step: int) -> None:
    """Also in the last step, after which no other exchange comes."""
    Path("program.py").write_text(NAN_ON_ONE_RANK, encoding="utf-8")
    overrides = [*SHORT[:-1], "steps=47", "accumulate=1"]
    arguments = train_arguments(Path("run"), *overrides)
    launch = torchrun(["program.py"], [str(step), *arguments])
    _, said = ended(launch)
    status = status_of(Path("run"))
    assert status["state"] == "diverged", said
    assert f"at step {step}" in status["message"]


def test_a_run_that_raises_on_one_rank_ends_the_sweep() -> None:
    """The ranks may be out of step: nobody waits for anybody, and nothing is done by halves."""
    Path("program.py").write_text(NAN_ON_ONE_RANK, encoding="utf-8")
    sweep = ["seed=0,1", "nonfinite=raise", "hydra.sweep.dir=sweep"]
    arguments = ["train", "-m", *small(*SHORT, "accumulate=1", *sweep)]
    code, said = ended(torchrun(["program.py"], ["23", *arguments]))
    assert code != 0
    assert said.count("resume the sweep to go on") == 1
    status = status_of(Path("sweep/0"))
    assert status["state"] == "failed"
    assert status["message"].startswith("rank 1: FloatingPointError: loss is nan at step 23;")
    assert "in check" in Path("sweep/0/log.txt").read_text(encoding="utf-8")
    assert not Path("sweep/1").exists()


KILLED_THEN_STOPPED = """
import os, signal, sys
from optbench.__main__ import main
from optbench.monitor.record import Recorder
from optbench.tasks.classification import Classification

FIRST, score_of = os.environ["TORCHELASTIC_RESTART_COUNT"] == "0", Classification.score
tick, scored = Recorder.tick, []

def ticking(self, step):
    tick(self, step)
    if FIRST and step == 20 and os.environ["RANK"] == "0":
        os.kill(os.getpid(), signal.SIGKILL)

def score(self, modules, batch):
    scored.append(batch)
    if not FIRST and len(scored) == 3 and os.environ["RANK"] == "1":
        os.kill(os.getpid(), signal.SIGTERM)
    return score_of(self, modules, batch)

Recorder.tick, Classification.score = ticking, score
main()
"""


def test_ranks_that_torchrun_begins_anew_go_on_in_their_folder() -> None:
    """One is killed; of those begun anew one is asked to stop, in the middle of an evaluation."""
    Path("program.py").write_text(KILLED_THEN_STOPPED, encoding="utf-8")
    # 49 examples to validate: rank 0 has 6 batches of them, rank 1 as many and one more.
    overrides = [*SHORT, "eval.every=25", "eval.batch_size=4"]
    arguments = train_arguments(Path("run"), *overrides)
    _, said = ended(torchrun(["program.py"], arguments, restarts=1))
    assert [path.name for path in Path().iterdir() if path.is_dir()] == ["run"], said
    assert status_of(Path("run"))["state"] == "preempted", said
    assert status_of(Path("run"))["step"] == 25
    assert [m["step"] for m in metrics_of(Path("run")) if m["kind"] == "val"] == []
    ranks(["resume", str(Path("run").absolute())])
    assert status_of(Path("run"))["state"] == "finished"
    ranks(train_arguments(Path("whole"), *overrides))
    assert_same_run(Path("whole"), Path("run"))


HANGING = """
import os, signal, sys
from optbench.__main__ import main
from optbench.monitor.record import Recorder

tick, hung, first = Recorder.tick, sys.argv.pop(1), os.environ["TORCHELASTIC_RESTART_COUNT"] == "0"

def ticking(self, step):
    tick(self, step)
    if first and step == 20 and os.environ["RANK"] == hung:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pause()

Recorder.tick = ticking
main()
"""


@pytest.mark.parametrize("hung", [0, 1])
def test_a_hung_rank_is_named_and_all_begin_anew(hung: int) -> None:
    Path("program.py").write_text(HANGING, encoding="utf-8")
    arguments = train_arguments(Path("run"), *SHORT, "rank_timeout=20")
    code, said = ended(torchrun(["program.py"], [str(hung), *arguments], restarts=1, count=3))
    assert code == 0, said
    line = f"rank {hung} did not come within 20 s (rank_timeout)"
    others = [f"[rank {rank}] optbench: " for rank in (1, 2) if rank != hung]
    for begun in others if hung == 0 else [*others, "failed: "]:
        assert said.count(f"{begun}{line}\n") == 1, said
    assert said.count(line) == 2 and 'File "' not in said, said
    assert status_of(Path("run"))["state"] == "finished", said
    ranks(train_arguments(Path("whole"), *SHORT, "rank_timeout=20"), count=3)
    assert_same_run(Path("whole"), Path("run"))


LEAVING = """
import os, signal
from optbench.__main__ import main
from optbench.monitor.record import Recorder

tick = Recorder.tick

def ticking(self, step):
    tick(self, step)
    if step == 20 and os.environ["GROUP_RANK"] == "1":
        os.kill(os.getppid(), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)

Recorder.tick = ticking
main()
"""


def test_a_machine_that_is_lost_leaves_the_others_to_go_on() -> None:
    """Two torchruns of one launch, one of which is gone with its ranks."""
    Path("program.py").write_text(LEAVING, encoding="utf-8")
    arguments = train_arguments(Path("run"), *SHORT)
    meeting = Path("meeting").absolute()
    launches = [torchrun(["program.py"], arguments, 1, 1, meeting) for _ in range(2)]
    outcomes = sorted(ended(launch) for launch in launches)
    assert [code for code, _ in outcomes] == [-signal.SIGKILL, 0], outcomes
    assert [path.name for path in Path().iterdir() if path.is_dir()] == ["run"]
    assert status_of(Path("run"))["state"] == "finished"
    steps = [m["step"] for m in metrics_of(Path("run")) if m["kind"] == "train"]
    assert steps == sorted(set(steps)) and steps[-1] == 50
