"""K-FAC in whole runs: what it says of itself, bf16, what is left to its companion."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from .runs import assert_same_run, metrics_of, state_of, train, whole_and_resumed

QUICK = ["steps=12", "monitor.every=1", "checkpoint.every=5", "eval.every=0"]
TEXT = ["dataset=text", "dataset.path=text.txt", "dataset.context=8", "batch_size=4"]
OFTEN = ["optimizer.factors_every=2", "optimizer.inverses_every=4"]


def said(folder: Path, name: str) -> list[float]:
    return [line[f"optimizer/{name}"] for line in metrics_of(folder) if f"optimizer/{name}" in line]


@pytest.mark.parametrize("optimizer", ["kfac", "ekfac"])
def test_it_says_how_far_it_goes(optimizer: str) -> None:
    run = [*QUICK, *OFTEN, f"optimizer={optimizer}", "optimizer.adapt_every=3"]
    assert train(Path("run"), *run) == 0
    assert len(said(Path("run"), "damping")) == 12
    assert all(0 < scale <= 1 for scale in said(Path("run"), "kl_scale"))
    assert len(said(Path("run"), "reduction_ratio")) == 4
    assert all(math.isfinite(each) for each in said(Path("run"), "reduction_ratio"))


@pytest.mark.parametrize(
    "more",
    [
        ["precision=bf16"],
        ["model=2c2d", "optimizer.places=5", "optimizer.adapt_every=4"],
        ["activation_checkpointing=true", "clip.norm=0.1"],
        ["optimizer.fisher=empirical", "optimizer.method=eigen", "model.batch_norm=true"],
        ["optimizer.method=ekfac", "optimizer.inverses_every=3"],
        ["wrapper=sam", "nonfinite=skip"],
    ],
    ids=" ".join,
)
def test_it_resumes_to_the_bit_between_looks_and_inversions(more: list[str]) -> None:
    run = [*QUICK, *OFTEN, "optimizer=kfac", "dataset=digits", "batch_size=32", *more]
    assert_same_run(*whole_and_resumed(7, *run))


def test_bf16_leaves_factors_and_inverses_in_fp32() -> None:
    assert train(Path("run"), *QUICK, "optimizer=kfac", "precision=bf16") == 0
    state = state_of(Path("run"))["state.pt"]["players"]["model"]["optimizer"]
    states = [s for member in state.get("members", [state]) for s in member["state"].values()]
    kept = [s[name] for s in states for name in ("A", "G", "A_inverse", "G_inverse") if name in s]
    assert kept and all(each.dtype == torch.float32 for each in kept)


@pytest.mark.parametrize("model", ["lstm", "gpt"])
def test_text_with_what_it_does_not_know_left_to_the_companion(model: str) -> None:
    Path("text.txt").write_text(
        "the quick brown fox jumps over the lazy dog. " * 10, encoding="utf-8"
    )
    run = [*QUICK, *OFTEN, *TEXT, "optimizer=kfac", f"model={model}", "model.width=8"]
    more = ["model.heads=2", "model.layers=1"] if model == "gpt" else ["task.carry=true"]
    assert_same_run(*whole_and_resumed(7, *run, *more))
