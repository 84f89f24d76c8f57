"""strategy=zero1: the optimizer's state shared out over ranks, and nothing else different."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from optbench.errors import UserError
from optbench.instruments.look import Look
from optbench.optim.exact_state import state_bytes
from optbench.runs.live_probe import instruments
from optbench.training.distributed import World
from optbench.training.zero1 import Zero1, shares

from .experiments import CPU, experiment
from .ranks import ranks
from .runs import assert_same_run, cut_back, resume, shared_of, small, train

RUN = [
    *("model.hidden=[64,64,64,64]", "dataset=digits", "steps=50", "checkpoint.every=10", "seed=3"),
    *("checkpoint.keep_last=50", "accumulate=2", "clip.norm=1.0", "ema=0.9", "monitor.every=5"),
    *("schedule=cosine", "optimizer.weight_decay=0.01"),
]
OPTIMIZERS = ("adamw", "lion", "muon", "adagrad")


def state(folder: Path) -> dict[str, Any]:
    """What the last checkpoint has of the model."""
    player: dict[str, Any] = shared_of(folder)["players"]["model"]
    return player


def tensors(value: Any) -> list[Tensor]:
    """All tensors in plain data, in order."""
    if isinstance(value, Tensor):
        return [value]
    inside = value.values() if isinstance(value, dict) else value
    return (
        [t for each in inside for t in tensors(each)]
        if isinstance(inside, list | tuple) or (isinstance(value, dict))
        else []
    )


def summary(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 4])
def test_runs_end_as_with_ddp_and_keep_a_share_of_the_state(count: int, tmp_path: Path) -> None:
    grid = [*small(*RUN), f"optimizer={','.join(OPTIMIZERS)}", "strategy=ddp,zero1"]
    ranks(["train", "-m", *grid, f"hydra.sweep.dir={tmp_path / 's'}"], count=count)
    for number, name in enumerate(OPTIMIZERS):
        by_ddp, by_zero1 = (tmp_path / "s" / str(2 * number + n) for n in (0, 1))
        one, other = state(by_ddp), state(by_zero1)
        pairs = list(zip(tensors(one), tensors(other), strict=True))
        assert len(pairs) > 12
        for ours, theirs in pairs:
            assert torch.allclose(ours.double(), theirs.double(), rtol=1e-6, atol=1e-9), name
        share = summary(by_zero1)["state_bytes"] / summary(by_ddp)["state_bytes"]
        assert share <= 1.2 / count, name  # of 18,218 numbers; a matrix is never cut
        keys = "test/accuracy", "test/loss"
        ends = [[summary(run)["final"][key] for key in keys] for run in (by_ddp, by_zero1)]
        assert ends[0] == pytest.approx(ends[1], rel=1e-6)


GROUPS = "optimizer.groups=[{params: '*.bias', lr: 0.02, weight_decay: 0.0}]"
OTHERS = {
    "a rank without a share": ["optimizer=lion", "freeze=[blocks.*,head.bias]"],
    "a scaler": ["optimizer=adamw", "precision=fp16"],
    "groups": ["optimizer=sgd", "optimizer.momentum=0.9", GROUPS, "nonfinite=skip"],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_so_do_others(name: str, tmp_path: Path) -> None:
    grid = [*small(*RUN), *OTHERS[name], "strategy=ddp,zero1"]
    ranks(["train", "-m", *grid, f"hydra.sweep.dir={tmp_path / 's'}"])
    one, other = (tensors(state(tmp_path / "s" / number)) for number in "01")
    assert len(one) > 10
    for ours, theirs in zip(one, other, strict=True):
        assert torch.allclose(ours.double(), theirs.double(), rtol=1e-6, atol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize(("optimizer", "off"), [("adamw", 1e-4), ("muon", 1e-2)])
def test_a_resume_goes_on_to_the_same_bits_and_on_fewer_ranks(
    optimizer: str, off: float, count: int, tmp_path: Path
) -> None:
    """Saved by four: on four to the bit, on two and then on one to rounding.

    Muon's products of matrices in bfloat16 make more of it, with DDP as much.
    """
    lines = [*small(*RUN), f"optimizer={optimizer}", "strategy=zero1"]
    whole, cut, fewer = (tmp_path / name for name in ("whole", "cut", "fewer"))
    ranks(["train", *lines, f"hydra.run.dir={whole}"], count=count)
    for folder in (cut, fewer):
        shutil.copytree(whole, folder)
        cut_back(folder, 20)
    ranks(["resume", str(cut)], count=count)
    assert_same_run(whole, cut)
    if count == 4:
        ranks(["resume", str(fewer)], count=2)
        cut_back(fewer, 40)
    assert resume(fewer) == 0
    for ours, theirs in zip(tensors(state(fewer)), tensors(state(whole)), strict=True):
        assert (ours.double() - theirs.double()).norm() <= off * theirs.double().norm()


TOLD = """
import sys

from optbench.__main__ import main
from optbench.training.checkpointer import RunState

shared, load = RunState.shared, RunState.load


def tell(state, what):
    kept = state.players[0].state_bytes
    print(f"rank {state.world.rank} {what} {kept} bytes", file=sys.stderr, flush=True)


def saving(self):
    tell(self, "saves")
    return shared(self)


def loading(self, loaded):
    load(self, loaded)
    tell(self, "has loaded")


RunState.shared, RunState.load = saving, loading
main()
"""


@pytest.mark.slow
def test_every_rank_keeps_its_share_of_the_state(tmp_path: Path) -> None:
    """All shares together are one whole, also where they go on from a checkpoint."""
    program, run = (str(tmp_path / "told.py"),), tmp_path / "run"
    Path(*program).write_text(TOLD, encoding="utf-8")
    lines = [*small(*RUN), "optimizer=adamw", "strategy=zero1", "steps=10"]
    said = ranks(["train", *lines, f"hydra.run.dir={run}"], program)
    said += ranks(["resume", str(run), "steps=20"], program)
    whole = state_bytes(state(run)["optimizer"])
    for what in ("saves", "has loaded"):
        found = dict(re.findall(rf"rank (\d) {what} (\d+) bytes", said))
        sizes = [int(size) for size in found.values()]
        assert found.keys() == {"0", "1"} and sum(sizes) == pytest.approx(whole, rel=1e-2)
        assert max(sizes) < 0.6 * whole


@pytest.mark.parametrize("name", ["alpha", "stability"])
def test_what_asks_the_optimizers_state_is_left_out_on_every_rank(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = experiment("steps=5", "optimizer=adam").trainer()
    trainer.run(until=2)
    (instrument,) = instruments([name]).values()
    look = Look(trainer)
    assert instrument.lacking(look) is None
    monkeypatch.setattr(type(trainer.state.strategy), "whole_state", False)
    assert instrument.lacking(look) == "strategy=zero1: no rank has all of the optimizer's state"


def test_shares_are_of_about_as_many_numbers() -> None:
    parameters = [nn.Parameter(torch.zeros(n)) for n in (7, 100, 3, 50, 49, 1)]
    found = shares(parameters, 3)
    assert sorted(p.numel() for own in found for p in own) == [1, 3, 7, 49, 50, 100]
    assert [sum(p.numel() for p in own) for own in found] == [100, 54, 56]


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["optimizer=lbfgs"], "LBFGS evaluates the loss itself"),
        (["optimizer=kfac"], "KFAC evaluates the loss itself"),
        (["optimizer=adamw", "wrapper=sam"], "SAM evaluates the loss itself"),
        (["optimizer=adamw", "wrapper=lookahead"], "may look at all parameters at once"),
        (["optimizer=schedulefree"], "is evaluated at other weights"),
        (["optimizer=zoo", "optimizer.name=prodigy"], "Prodigy may look at all parameters"),
        (["optimizer=sgd", "schedule=hypergradient"], "a schedule that looks at updates"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_what_looks_at_all_parameters_is_refused(overrides: list[str], said: str) -> None:
    (player,) = experiment("steps=5", *overrides).state.players
    with pytest.raises(UserError, match=f"strategy=zero1: .*{said}"):
        Zero1(World(CPU, 0, 2)).share(player)


def test_one_rank_has_nothing_to_share(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(tmp_path / "run", *RUN, "strategy=zero1") == 2
    assert "strategy=zero1: there is one rank" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_resume_keeps_the_strategy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(tmp_path / "run", *RUN, "steps=4", "checkpoint.every=2") == 0
    assert resume(tmp_path / "run", "strategy=zero1") == 2
    assert "strategy" in capsys.readouterr().err
