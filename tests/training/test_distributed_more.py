"""Two ranks with what else can go wrong between them. Each test is a launch or two."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from optbench.training import checkpoint

from .ranks import ended, ranks, torchrun, train_arguments
from .runs import assert_same_run, metrics_of, resume, small, status_of, train
from .test_distributed import RUN, weights

pytestmark = pytest.mark.slow

SHORT = [*RUN[:-1], "steps=50"]


def both(*overrides: str) -> tuple[Path, Path]:
    """The same run by one process and by two ranks."""
    assert train(Path("alone"), *SHORT, *overrides) == 0
    ranks(train_arguments(Path("together"), *SHORT, *overrides))
    return Path("alone"), Path("together")


def relative_distance(one: Path, other: Path, step: int) -> float:
    a, b = weights(one, step), weights(other, step)
    return float(torch.dist(a, b) / b.norm())


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
    alone, together = both(*overrides)
    # Muon works in bfloat16, whose rounding magnifies the order of summation.
    limit = 1e-2 if "optimizer=muon" in overrides else 1e-5
    assert relative_distance(together, alone, 49) <= limit


def test_ranks_that_share_out_matrices_save_all_momenta() -> None:
    name = ["optimizer=zoo", "optimizer.name=distributedmuon"]
    alone, together = both(*name, "model.hidden=[24,16]")  # of two shapes
    assert relative_distance(together, alone, 49) <= 1e-2
    one, other = momenta(alone), momenta(together)
    assert len(one) == len(other) == 2
    for a, b in zip(one, other, strict=True):
        assert torch.dist(a, b) <= 0.1 * a.norm()


def momenta(folder: Path) -> list[torch.Tensor]:
    saved = torch.load(folder / "checkpoints/step-00000049/state.pt", weights_only=True)
    states = saved["players"]["model"]["optimizer"]["state"].values()
    return [state["momentum_buffer"] for state in states if "momentum_buffer" in state]


def test_lbfgs_sees_the_loss_of_the_whole_batch_on_every_rank() -> None:
    """Else its line searches part, and the ranks wait for each other for ever."""
    overrides = ["optimizer=lbfgs", "optimizer.lr=0.5", "steps=8", "checkpoint.every=1"]
    assert train(Path("alone"), *SHORT[:-1], *overrides) == 0
    arguments = train_arguments(Path("together"), *SHORT[:-1], *overrides)
    code, said = ended(torchrun(["-m", "optbench"], arguments))
    assert code == 0, said
    # Its searches magnify what rounding there is, soon by a thousand times.
    for step, limit in ((2, 1e-6), (8, 1e-1)):
        assert relative_distance(Path("together"), Path("alone"), step) <= limit


def test_fp16_skips_on_all_ranks_together() -> None:
    _, together = both("precision=fp16")
    assert status_of(together)["state"] == "finished"


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
    assert "warning" not in capsys.readouterr().err
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
from optbench.cli.main import main
from optbench.monitor.record import Recorder
from optbench.tasks.classification import Classification

BAD_STEP, RANK, loss_of, done = int(sys.argv.pop(1)), os.environ["RANK"], Classification.loss, [0]

def loss(self, *arguments):
    bad = RANK == "1" and done[0] == BAD_STEP - 1
    return loss_of(self, *arguments) * (float("nan") if bad else 1.0)

Classification.loss = loss
Recorder.tick = lambda self, step: done.__setitem__(0, step)
sys.exit(main())
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
from optbench.cli.main import main
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
sys.exit(main())
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
