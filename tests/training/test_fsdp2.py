"""strategy=fsdp2: parameters, gradients and the optimizer's state in rows over the ranks."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from optbench.cli.main import main
from optbench.errors import UserError
from optbench.optim.exact_state import state_bytes
from optbench.optim.needs import needs_of
from optbench.training.checkpoint import rows_file
from optbench.training.distributed import World
from optbench.training.fsdp2 import Fsdp2, looks_further

from .experiments import CPU, experiment
from .ranks import ended, ranks, torchrun
from .runs import (
    assert_same_bits,
    assert_same_run,
    cut_back,
    metrics_of,
    newest,
    newest_step,
    resume,
    small,
    status_of,
    train,
)
from .test_distributed_more import IN_DOUBLE, NAN_ON_ONE_RANK
from .test_zero1 import RUN, TOLD, state, summary, tensors

OPTIMIZERS = ("adamw", "lion", "momentum", "adagrad")


def compare(one: Path, other: Path, name: str, rtol: float = 1e-6) -> None:
    """Two runs with the same losses, norms, weights and state, but for rounding."""
    pairs = list(zip(tensors(state(one)), tensors(state(other)), strict=True))
    assert len(pairs) > 10
    for ours, theirs in pairs:
        assert torch.allclose(ours.double(), theirs.double(), rtol=rtol, atol=1e-8), name
    for ours, theirs in zip(metrics_of(one), metrics_of(other), strict=True):
        assert list(ours) == list(theirs)
        assert ours.pop("kind") == theirs.pop("kind")
        assert ours == pytest.approx(theirs, rel=rtol, abs=1e-7), name


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 4])
def test_runs_end_as_with_ddp_and_keep_a_share_of_the_state(count: int, tmp_path: Path) -> None:
    """In float64, as they add gradients up in another order than DDP."""
    names = OPTIMIZERS[: count if count < 4 else None]  # the others are slow
    grid = [*small(*RUN), f"optimizer={','.join(names)}", "strategy=ddp,fsdp2"]
    program = (str(tmp_path / "program.py"),)
    Path(*program).write_text(IN_DOUBLE, encoding="utf-8")
    ranks(["train", "-m", *grid, f"hydra.sweep.dir={tmp_path / 's'}"], program, count)
    for number, name in enumerate(names):
        by_ddp, by_fsdp2 = (tmp_path / "s" / str(2 * number + n) for n in (0, 1))
        compare(by_ddp, by_fsdp2, name)
        assert summary(by_fsdp2)["parameters"] == summary(by_ddp)["parameters"]
        share = summary(by_fsdp2)["state_bytes"] / summary(by_ddp)["state_bytes"]
        assert share <= 1.02 / count, name


OTHERS = {
    "groups": [
        *("optimizer=sgd", "optimizer.momentum=0.9", "nonfinite=skip", "clip.per_group=true"),
        "optimizer.groups=[{params: '*.bias', lr: 0.02, weight_decay: 0.0}]",
    ],
    "frozen": ["optimizer=lion", "freeze=[blocks.*]", "ema=0"],
    "values": ["optimizer=adamw", "clip.value=0.01", "optimizer.centralize_gradients=true"],
    "decay": ["optimizer=adam", "optimizer.decay=independent", "optimizer.layer_decay=0.7"],
    "a validation set that can't be halved": ["optimizer=adamw", "eval.batch_size=7"],
    "batch norm": ["optimizer=adamw", "model.batch_norm=true"],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_so_do_others(name: str, tmp_path: Path) -> None:
    grid = [*small(*RUN), *OTHERS[name], "strategy=ddp,fsdp2"]
    program = (str(tmp_path / "program.py"),)
    Path(*program).write_text(IN_DOUBLE, encoding="utf-8")
    ranks(["train", "-m", *grid, f"hydra.sweep.dir={tmp_path / 's'}"], program, count=3)
    compare(tmp_path / "s/0", tmp_path / "s/1", name)


TEXT = "To be, or not to be, that is the question:\nWhether 'tis nobler in the mind\n" * 40
LANGUAGE = ["dataset=text", "dataset.context=8", "steps=20", "eval.every=7", "accumulate=1"]
GPT = ["model=gpt", "model.layers=2", "model.heads=2", "model.width=16", *LANGUAGE]
GPT += ["activation_checkpointing=true"]
LSTM = ["model=lstm", "model.layers=2", "model.width=12", "task.carry=true", *LANGUAGE]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "precision"),
    [(GPT, "fp32"), (GPT, "bf16"), (LSTM, "fp32")],
    ids=["gpt", "bf16", "lstm"],
)
def test_language_models(model: list[str], precision: str, tmp_path: Path) -> None:
    """A transformer whose blocks are recomputed; layers that keep a list of their weights."""
    (tmp_path / "text.txt").write_text(TEXT, encoding="utf-8")
    lines = [*RUN[2:], *model, f"dataset.path={tmp_path / 'text.txt'}", f"precision={precision}"]
    grid = [*small(*lines), "optimizer=adamw", "strategy=ddp,fsdp2"]
    ranks(["train", "-m", *grid, f"hydra.sweep.dir={tmp_path / 's'}"])
    compare(tmp_path / "s/0", tmp_path / "s/1", precision, rtol=2e-5)


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 4])
def test_a_resume_goes_on_to_the_same_bits_and_on_other_ranks(count: int, tmp_path: Path) -> None:
    """What was saved by one process, which has all of it, lies there whole; the rest in rows."""
    lines = [*small(*RUN), "optimizer=adamw", "strategy=fsdp2"]
    whole, cut, fewer, three = (tmp_path / name for name in ("whole", "cut", "fewer", "three"))
    ranks(["train", *lines, f"hydra.run.dir={whole}"], count=count)
    for folder in (cut, fewer, three):
        shutil.copytree(whole, folder)
        cut_back(folder, 20)
    ranks(["resume", str(cut)], count=count)
    assert_same_run(whole, cut)
    if count == 4:
        ranks(["resume", str(fewer)], count=2)
        cut_back(fewer, 40)
        ranks(["resume", str(three)], count=3)
    assert resume(fewer) == 0
    if count == 2:
        shutil.copytree(fewer, three, dirs_exist_ok=True)
        cut_back(three, 40)
        ranks(["resume", str(three)], count=2)
    for folder in (fewer, three):
        for ours, theirs in zip(tensors(state(folder)), tensors(state(whole)), strict=True):
            assert torch.allclose(ours.double(), theirs.double(), rtol=1e-3, atol=1e-5)


def test_each_rank_writes_its_rows(tmp_path: Path) -> None:
    """To a file of its own, and nothing of them to rank 0's. Of one row the second has none."""
    run = tmp_path / "run"
    lines = [*small(*RUN), "optimizer=adamw", "strategy=fsdp2", "steps=2", "model.hidden=[64,1]"]
    ranks(["train", *lines, f"hydra.run.dir={run}"])
    at = newest(run)
    assert {each.name for each in at.iterdir()} == {
        *("manifest.json", "state.pt", "rank-0.pt", "rank-1.pt", "rows-0.pt", "rows-1.pt"),
    }
    one, other = (torch.load(at / rows_file(rank), weights_only=True) for rank in (0, 1))
    shared = torch.load(at / "state.pt", weights_only=True)["players"]["model"]
    large = [each for each in tensors(shared) if each.ndim]
    assert large and all(each.is_meta for each in large)
    assert len(one) == len(large) == 4 * 6  # weights, their average, AdamW's moments
    assert len(other) == 4 * 4
    for name, rows in one.items():
        assert name not in other or other[name].shape[1:] == rows.shape[1:]
    found = sum(each.numel() for part in (one, other) for each in part.values())
    assert found == sum(each.numel() for each in large)


def test_weights_are_exported_whole(tmp_path: Path) -> None:
    run, file = tmp_path / "run", tmp_path / "weights.pt"
    lines = [*small(*RUN), "optimizer=adamw", "strategy=fsdp2", "steps=4"]
    ranks(["train", *lines, f"hydra.run.dir={run}"])
    assert main(["export", str(run), "-o", str(file)]) == 0
    assert_same_bits(torch.load(file, weights_only=True), state(run)["averaged"])


@pytest.mark.slow
def test_every_rank_keeps_its_rows(tmp_path: Path) -> None:
    """All rows together are one whole, also where they go on from a checkpoint."""
    program, run = (str(tmp_path / "told.py"),), tmp_path / "run"
    Path(*program).write_text(TOLD, encoding="utf-8")
    lines = [*small(*RUN), "optimizer=adamw", "strategy=fsdp2", "steps=10"]
    said = ranks(["train", *lines, f"hydra.run.dir={run}"], program, count=4)
    said += ranks(["resume", str(run), "steps=20"], program, count=4)
    whole = state_bytes(state(run)["optimizer"])
    for what in ("saves", "has loaded"):
        found = dict(re.findall(rf"rank (\d) {what} (\d+) bytes", said))
        sizes = [int(size) for size in found.values()]
        assert found.keys() == set("0123") and sum(sizes) == pytest.approx(whole, rel=1e-2)
        assert max(sizes) < 1.02 * whole / 4


@pytest.mark.slow
@pytest.mark.parametrize(
    ("policy", "said"),
    [("stop", "gradient norm is nan at step 20"), ("skip", "no finite gradient in 100 batches")],
)
def test_a_gradient_that_is_not_finite_ends_all_ranks(
    policy: str, said: str, tmp_path: Path
) -> None:
    """Each looks at its own rows; all have to leave the same steps out, and to save none of it."""
    program, run = str(tmp_path / "program.py"), tmp_path / "run"
    Path(program).write_text(NAN_ON_ONE_RANK, encoding="utf-8")
    lines = [*small(*RUN), "strategy=fsdp2", "accumulate=1", f"nonfinite={policy}"]
    code, told = ended(torchrun([program], ["20", "train", *lines, f"hydra.run.dir={run}"]))
    assert code == 1, told
    status = status_of(run)
    assert status["state"] == "diverged" and said in status["message"], told
    assert newest_step(run) == 10 and 'File "' not in told.split("torch/distributed")[0], told


WITH_ROWS = [
    *("adabelief", "adabound", "adadelta", "adagrad", "adagrad_eps_inside", "adam", "adamax"),
    *("adamw", "adan", "amsbound", "amsgrad", "asgd", "heavy_ball", "lion", "momentum", "nadam"),
    *("radam", "rmsprop", "rmsprop_eps_inside", "rprop", "sgd"),
]
ASKED = {"custom": [], "zoo": ["optimizer.name=adabelief"]}
"""Choices that are no optimizer yet."""


def made(name: str) -> Any:
    """A choice's optimizer, over a small model's parameters."""
    lines = [f"optimizer={name}", *ASKED.get(name, []), "steps=5", "model.hidden=[4]"]
    (player,) = experiment(*lines).state.players
    return player.optimizer


def test_those_known_to_work_on_rows() -> None:
    """Of `progressive` and `sparse_adam` nobody has looked whether they could."""
    folder = Path(__file__).parents[2] / "configs" / "optimizer"
    names = sorted({path.stem for path in folder.glob("[!_]*.yaml")} - {"custom"})
    assert [
        name
        for name in names
        if looks_further(made(name)) is None and not needs_of(made(name)).closure
    ] == WITH_ROWS


@pytest.mark.parametrize("name", WITH_ROWS)
def test_they_step_rows_as_they_step_the_whole(name: str) -> None:
    """Cut anywhere, to an empty part too: in float64 the same numbers."""
    optimizer = made(name)
    settings = {k: v for k, v in optimizer.param_groups[0].items() if k != "params"}
    drawn = torch.Generator().manual_seed(1)
    start = torch.randn(7, 5, dtype=torch.float64, generator=drawn)
    whole = [nn.Parameter(start.clone())]
    rows = [nn.Parameter(part.clone()) for part in start.split([3, 3, 1, 0])]
    for parameters in (whole, rows):
        steps = type(optimizer)([{**settings, "params": parameters}])
        drawn.manual_seed(2)
        for _ in range(4):
            gradient = torch.randn(7, 5, dtype=torch.float64, generator=drawn)
            for parameter, part in zip(
                parameters, gradient.split([len(p) for p in parameters]), strict=True
            ):
                parameter.grad = part.clone()
            steps.step()
    found = torch.cat([part.detach() for part in rows])
    assert not torch.equal(found, start)
    torch.testing.assert_close(found, whole[0].detach(), rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["optimizer=lbfgs"], "LBFGS evaluates the loss itself.*; use strategy=ddp$"),
        (["optimizer=schedulefree"], "is evaluated at other weights.*; use strategy=ddp$"),
        (["optimizer=sgd", "schedule=hypergradient"], "a schedule that looks at updates"),
        (["optimizer=muon"], "Muon works with whole matrices.*; use strategy=zero1 or ddp$"),
        (["optimizer=lamb"], "LAMB works with whole matrices"),
        (["optimizer=adafactor"], "Adafactor works with whole matrices"),
        (["optimizer=adamw", "wrapper=lookahead"], "Lookahead works with whole matrices"),
        (["optimizer=zoo", "optimizer.name=adabelief"], "AdaBelief works with whole matrices"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_what_looks_at_more_than_a_number_is_refused(overrides: list[str], said: str) -> None:
    (player,) = experiment("steps=5", *overrides).state.players
    with pytest.raises(UserError, match=f"strategy=fsdp2: .*{said}"):
        Fsdp2(World(CPU, 0, 2)).share(player)


def test_a_parameter_without_rows_is_refused() -> None:
    module = nn.Module()
    module.register_parameter("scale", nn.Parameter(torch.tensor(1.0)))
    with pytest.raises(UserError, match="strategy=fsdp2: scale is one number, without rows"):
        Fsdp2(World(CPU, 0, 2)).prepare(module)


UNFIT = {
    "precision=fp16": "precision=fp16: ",
    "compile=true": "compile=true: ",
    "channels_last=true": "channels_last=true: ",
    "clip.adaptive=0.1": "clip.adaptive=0.1: ",
    "monitor.histograms=10": "monitor.histograms: ",
    "probe.every=10": "probe.every: ",
    "model=dcgan": "task with discriminator and generator: ",
}


@pytest.mark.parametrize("override", UNFIT)
def test_settings_that_can_not_be_are_refused(
    override: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before torch is asked for anything, so one rank of two says so alone."""
    for name, value in {
        "WORLD_SIZE": "2",
        "RANK": "0",
        "MASTER_ADDR": "x",
        "MASTER_PORT": "1",
    }.items():
        monkeypatch.setenv(name, value)
    assert train(tmp_path / "run", "dataset=digits", "strategy=fsdp2", override) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"optbench: {UNFIT[override]}not with strategy=fsdp2, ")
    assert not (tmp_path / "run").exists()


def test_one_rank_has_nothing_to_share(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(tmp_path / "run", *RUN, "strategy=fsdp2") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("optbench: strategy=fsdp2: there is one rank")
    assert not (tmp_path / "run").exists()


def test_a_resume_keeps_the_strategy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(tmp_path / "run", *RUN, "steps=4", "checkpoint.every=2") == 0
    capsys.readouterr()
    assert resume(tmp_path / "run", "strategy=fsdp2") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("optbench: strategy: ") or line.startswith("optbench: strategy=fsdp2")
