"""The verb `show`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from optbench.assemble.curves import MOST_POINTS, Curves, curves_of
from optbench.compose.composer import hydra_session

from .program import call, left_in


def curves(*overrides: str) -> Curves:
    with hydra_session() as composer:
        return curves_of(composer.spec(composer.compose(overrides), overrides).config)


def test_it_draws_what_a_training_does(tmp_path: Path) -> None:
    said = "epochs=2 schedule=one_cycle optimizer.lr=0.01 scale_lr=linear monitor.every=1"
    drawn = curves(*said.split())
    answer = call(f"train {said} model.hidden=[4] hydra.run.dir={tmp_path}/run")
    assert answer.code == 0, answer.err
    from optbench.rundir import RunDir

    trained = {
        r["step"]: r["lr/model"] for r in RunDir(tmp_path / "run").read_metrics() if "lr/model" in r
    }
    # A record's rate is that of the update which led to it.
    assert drawn.steps == list(range(42))
    for step in range(1, 43):
        assert drawn.rates["lr"][step - 1] == trained[step]


def test_momentum_groups_and_other_settings_are_drawn() -> None:
    drawn = curves(
        "schedule=cosine",
        "optimizer.groups=[{params: 'head.*', lr: 0.5, schedule: step}]",
        "momentum_schedule={schedule: linear, from: 0.5, to: 0.9}",
        "weight_decay_schedule={schedule: constant, to: 1}",
    )
    assert drawn.rates["lr"][0] == 0.001 and drawn.rates["lr of head.*"][0] == 0.5
    assert drawn.others["momentum"][0] == 0.5 and drawn.others["momentum"][-1] > 0.89
    assert drawn.others["weight_decay"][0] == 0.01
    cycled = curves("schedule=one_cycle")
    assert (max(cycled.others["momentum"]), min(cycled.others["momentum"])) == (0.95, 0.85)


PLAYERS = "model=dcgan model.width=2 dataset=digits player.generator.schedule=cosine"


def test_players_are_drawn_as_they_train(tmp_path: Path) -> None:
    said = f"{PLAYERS} player.generator.update_every=5 steps=20 monitor.every=1 device=cpu"
    drawn = curves(*said.split())
    assert list(drawn.rates) == ["lr of discriminator", "lr of generator"]
    answer = call(f"train {said} batch_size=8 threads=1 hydra.run.dir={tmp_path}/run")
    assert answer.code == 0, answer.err
    from optbench.rundir import RunDir

    for record in RunDir(tmp_path / "run").read_metrics():
        for name in ("generator", "discriminator"):
            if f"lr/{name}" in record:
                turn = record["step"] // 5 * 5 if name == "generator" else record["step"]
                expected = drawn.rates[f"lr of {name}"][max(turn - 1, 0)]
                assert record[f"lr/{name}"] == pytest.approx(expected)
    assert len(set(drawn.rates["lr of generator"])) == 4
    title = call(f"show {said}").out.splitlines()[0]
    assert "discriminator: constant" in title and "generator: cosine" in title


def test_a_data_set_with_a_validation_set_of_its_own_has_epochs_too() -> None:
    assert curves("dataset=adding", "model=rnn", "batch_size=50", "epochs=1").epoch == 1000


def test_a_long_run_is_sampled_from_its_first_step_to_its_last() -> None:
    steps = curves("steps=100000").steps
    assert (steps[0], steps[-1], len(steps)) == (0, 99999, MOST_POINTS)


def test_the_text_has_the_curve_and_the_length() -> None:
    answer = call("show schedule=cosine schedule.warmup_steps=5% epochs=3")
    assert answer.code == 0
    assert answer.out.startswith("cosine, warmup 5%: 63 steps, 3 epochs of 21\n")
    assert "0.001 ┤" in answer.out and "reacts" not in answer.out


def test_a_run_of_one_step() -> None:
    lines = call("show schedule=cosine steps=1").out.splitlines()
    assert lines[0] == "cosine: 1 step, 0.04762 epochs of 21"
    assert lines[-1].split() == ["0", "step", "1"]


@pytest.mark.parametrize("schedule", ["plateau", "auto_loss", "auto_grad_norm", "hypergradient"])
def test_one_that_reacts_says_so(schedule: str) -> None:
    assert "lr reacts to the run" in call(f"show schedule={schedule}").out


def test_a_png(tmp_path: Path) -> None:
    answer = call(f"show schedule=one_cycle --png {tmp_path}/new/a.png")
    assert answer.code == 0, answer.err
    with Image.open(tmp_path / "new" / "a.png") as picture:
        assert picture.width > 300


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("show schedule=cosin", "schedule=cosin: no such schedule; did you mean cosine?"),
        ("show schedule=cosine schedule.warmup_steps=1000", "longer than the run of 420"),
        ("show schedule=multistep schedule.milestones=[50,20]", "increasing order"),
        ("show schedule=cosine_restarts schedule.t_0=0", "t_0"),
        ("show --png", "--png: into which file?"),
        ("show --png x.jpg", "--png x.jpg: expected a file that ends in .png"),
        ("show -m schedule=cosine,linear", "--multirun: not with show"),
        ("show resume=somewhere", "resume=somewhere: not with show"),
        ("show optimizer=adagrad momentum_schedule={schedule:linear,to:0.9}", "has no momentum"),
        ("show momentum_schedule={schedule:linear}", "to which value?"),
        ("show momentum_schedule={schedule:linear,to:1.5}", "momentum_schedule.to=1.5: not valid"),
        ("show momentum_schedule={schedule:hypergradient,to:0.5}", "reacts to the run"),
        ("show momentum_schedule={schedule:plateau,to:0.5}", "reacts to the run"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    line: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    answer = call(line)
    assert answer.code == 2 and says in answer.err
    assert answer.err.count("\n") == 1 and left_in(here) == []


def test_it_needs_no_torch() -> None:
    program = (
        "import sys; from optbench.cli.main import main; "
        "assert main(['show', 'schedule=chain']) == 0; assert 'torch' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("line", ["show schedule=one_cycle", "list optimizers"])
def test_a_terminal_in_ascii_is_enough(line: str) -> None:
    command = [sys.executable, "-m", "optbench", *line.split()]
    env = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, capture_output=True, env=env)
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii() and done.stderr == b""


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("optimizer=cma_es", "optimizer: CMAES has no learning rate to draw"),
        ("optimizer=ga schedule=cosine", "optimizer: GA has no learning rate to draw"),
        ("optimizer=custom optimizer._target_=torch.optim.Muon", None),
        ("optimizer=custom optimizer._target_=torch.optim.SGD", None),
    ],
)
def test_who_has_no_learning_rate_said(line: str, said: str | None) -> None:
    answer = call(f"show {line} steps=9")
    if said is None:  # the class has a default of its own
        assert (answer.code, answer.err) == (0, "") and "0.001" in answer.out
    else:
        assert (answer.code, answer.out, answer.err) == (2, "", f"optbench: {said}\n")
