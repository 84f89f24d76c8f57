"""Runs of several optimizers one after another: resumed, by two ranks, in narrow precision."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from few import few

from .ranks import ranks, train_arguments
from .runs import assert_same_run, metrics_of, train, whole_and_resumed

DIGITS = ["dataset=digits", "batch_size=50", "steps=40", "checkpoint.every=5", "monitor.every=4"]
SGD = "{optimizer: sgd, momentum: 0.9, lr: matched, keep: momentum}"


def progressive(*stages: str) -> list[str]:
    return ["optimizer=progressive", f"optimizer.stages=[{', '.join(stages)}]"]


def weights(folder: Path, step: int) -> dict[str, Any]:
    path = folder / "checkpoints" / f"step-{step:08d}" / "state.pt"
    found: dict[str, Any] = torch.load(path, weights_only=True)["players"]["model"]["module"]
    return found


def done(folder: Path, *overrides: str) -> Path:
    assert train(folder, *DIGITS, *overrides) == 0
    return folder


def stages_seen(folder: Path) -> list[tuple[int, float]]:
    """Step and stage of each record of the training."""
    return [(m["step"], m["optimizer/stage"]) for m in metrics_of(folder) if m["kind"] == "train"]


KINDS = {
    "steps": progressive("{optimizer: adam, until: 20}", SGD),
    "metric": [
        *progressive("{optimizer: adam, until: {metric: train/loss, below: 1.0, by: 30}}", SGD),
        "optimizer.lr=5e-3",
    ],
    "plateau": [
        *progressive(
            "{optimizer: adam, until: {metric: val/loss, patience: 0, threshold: 0.5, by: 90%}}",
            SGD,
        ),
        "eval.every=4",
    ],
    "swats": progressive(
        "{optimizer: adam, until: {swats: 1e-9, by: 50%}}", "{optimizer: sgd, lr: swats}"
    ),
    "schedules": [
        *progressive(
            "{optimizer: adam, until: 20, schedule: {schedule: cosine, warmup_steps: 3}}",
            "{optimizer: adamw, keep: [momentum, squares], schedule: {schedule: plateau, "
            "metric: train/loss, patience: 0, threshold: 0.3, factor: 0.5}}",
        ),
        "schedule=linear",
    ],
    "closures": progressive(
        "{optimizer: momentum, until: 20, wrapper: {wrapper: sam, rho: 0.02}}",
        "{optimizer: lbfgs, max_iter: 2}",
    ),
    "three, thawed": [
        *progressive(
            "{optimizer: adam, until: 10, train: 'head.*'}",
            "{optimizer: muon, until: 20, weight_decay: 0.01}",
            "{optimizer: lion, lr: 1e-4}",
        ),
        "clip.norm=0.5",
    ],
    "bf16": [*progressive("{optimizer: adam, until: 20}", SGD), "precision=bf16"],
    "fp16": [*progressive("{optimizer: adam, until: 20}", SGD), "precision=fp16"],
    "skips": [*progressive("{optimizer: adam, until: 20}", SGD), "nonfinite=skip"],
}


@pytest.mark.parametrize("step", few([20, 13, 21, 33], 1))
@pytest.mark.parametrize("kind", KINDS)
def test_a_resumed_run_ends_with_the_same_bits(kind: str, step: int) -> None:
    """In the middle of a stage, at the hand-over, and right after it."""
    every = "checkpoint.every=1" if step in (20, 21) else "checkpoint.every=5"
    whole, resumed = whole_and_resumed(step, *DIGITS, *KINDS[kind], every)
    assert_same_run(whole, resumed)
    seen = [stage for _, stage in stages_seen(resumed)]
    assert seen[0] == 0.0 and seen[-1] == (2.0 if kind == "three, thawed" else 1.0)


def test_a_stage_ends_where_it_says(tmp_path: Path) -> None:
    stages = progressive("{optimizer: adam, until: 50%}", SGD)
    folder = done(tmp_path / "run", *stages, "monitor.every=1")
    assert [step for step, stage in stages_seen(folder) if stage == 1.0] == list(range(21, 41))
    lrs = [m["lr/model"] for m in metrics_of(folder) if m["kind"] == "train"]
    assert lrs[:20] == [1e-3] * 20
    told = [m["optimizer/matched_lr"] for m in metrics_of(folder) if "optimizer/matched_lr" in m]
    assert lrs[20:] == pytest.approx([told[-1] * 0.1] * 20, rel=1e-12)


def test_a_stages_schedule_begins_with_it(tmp_path: Path) -> None:
    folder = done(
        tmp_path / "run",
        *progressive(
            "{optimizer: adam, until: 20}",
            "{optimizer: sgd, lr: 0.5, schedule: {schedule: linear, start_ratio: 1, min_ratio: 0}}",
        ),
        "monitor.every=1",
    )
    lrs = [m["lr/model"] for m in metrics_of(folder) if m["kind"] == "train"]
    assert lrs[:20] == [1e-3] * 20
    assert lrs[20:] == pytest.approx([0.5 * (1 - k / 20) for k in range(20)])


def test_what_is_frozen_is_in_no_norm_and_does_not_move(tmp_path: Path) -> None:
    frozen = progressive("{optimizer: sgd, until: 20, train: 'head.*'}", "{optimizer: sgd}")
    keeps = ["checkpoint.keep_last=50", "clip.norm=0.1", "optimizer.lr=0.5"]
    folder = done(tmp_path / "run", *frozen, *keeps)
    modules = [weights(folder, step) for step in (5, 20, 40)]
    for name in modules[0]:
        early, at, late = (module[name] for module in modules)
        assert torch.equal(early, at) == (not name.startswith("head."))
        assert not torch.equal(at, late)
    norms = [m for m in metrics_of(folder) if m["kind"] == "monitor"]
    assert all((m["grad_norm/blocks.0.0.weight"] > 0) == (m["step"] > 20) for m in norms)


def test_what_no_stage_trains_is_in_no_norm_and_clips_nothing(tmp_path: Path) -> None:
    head = "train: 'head.*'"
    never = progressive(f"{{optimizer: sgd, until: 20, {head}}}", f"{{optimizer: sgd, {head}}}")
    folder = done(tmp_path / "run", *never, "clip.norm=0.1", "optimizer.lr=0.5")
    norms = [m for m in metrics_of(folder) if m["kind"] == "monitor"]
    assert norms and all(m["grad_norm/blocks.0.0.weight"] == 0 for m in norms)
    for m in norms:
        own = m["grad_norm/head.weight"] ** 2 + m["grad_norm/head.bias"] ** 2
        assert m["grad_norm/total"] == pytest.approx(own**0.5, rel=1e-5)


@pytest.mark.slow
def test_two_ranks_equal_one(tmp_path: Path) -> None:
    asked = [*KINDS["metric"], "checkpoint.every=40"]
    one, two = done(tmp_path / "one", *asked), tmp_path / "two"
    ranks(train_arguments(two, *DIGITS, *asked))
    assert stages_seen(two) == stages_seen(one)
    alone, together = weights(one, 40), weights(two, 40)
    for name in alone:
        torch.testing.assert_close(together[name], alone[name], rtol=1e-3, atol=1e-5)
