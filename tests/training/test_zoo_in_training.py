"""Optimizers of the zoo that want something special, through the trainer and through a kill."""

from __future__ import annotations

import gc

import pytest
import torch
from few import few

from optbench.errors import UserError
from optbench.monitor.record import Recorder

from .experiments import experiment
from .runs import assert_same_run, metrics_of, whole_and_resumed

ZOO = ["dataset=digits", "epochs=2", "checkpoint.every=7", "optimizer=zoo"]
SPECIAL = {
    "adalomo": "takes the module, and counts in an attribute",
    "adahessian": "differentiates gradients, and draws",
    "adashift": "keeps a queue",
    "alig": "wants the loss, has no lr",
    "asgd": "changes its lr itself",
    "bsam": "evaluates the loss twice, draws, and knows the number of examples",
    "conda": "keeps objects",
    "emofact": "keeps the last loss in an attribute",
    "kron": "draws",
    "magma": "wraps AdamW, and draws",
    "muonclip": "is told which are hidden matrices",
    "ranger21": "knows the run's length",
    "scionlight": "keeps its momentum in the gradients, in the library",
    "scalableshampoo": "keeps objects",
    "spectralsphere": "takes matrices only",
    "stablespam": "counts in an attribute",
}


@pytest.mark.parametrize("name", few(SPECIAL, 6))
def test_it_trains_and_resumes_bit_for_bit(name: str) -> None:
    lines = [*ZOO, f"optimizer.name={name}"]
    whole, resumed = whole_and_resumed(10, *lines)
    assert_same_run(whole, resumed)
    losses = [m["train/loss"] for m in metrics_of(whole) if m["kind"] == "train"]
    assert min(losses) < losses[0]


def test_what_keeps_objects_resumes_inside_what_wants_a_closure() -> None:
    lines = [*ZOO, "optimizer.name=conda", "wrapper=sam"]
    assert_same_run(*whole_and_resumed(10, *lines))


@pytest.mark.slow
def test_differentiable_gradients_are_freed_after_every_step() -> None:
    """Without the garbage collector: a cycle would keep each step's graph."""
    made = experiment(*ZOO, "optimizer.name=adahessian", "monitor.every=0")
    counts: list[int] = []

    class Counting(Recorder):
        def tick(self, step: int) -> None:
            if step in (10, 20, 40):
                counts.append(
                    sum(issubclass(type(each), torch.Tensor) for each in gc.get_objects())
                )

    from optbench.training.signals import Interruption

    gc.collect()
    gc.disable()
    try:
        made.trainer(Counting(), None, Interruption()).fit()
    finally:
        gc.enable()
    assert counts[0] == counts[1] == counts[2]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["optimizer.name=adahessian", "precision=fp16"], "differentiates the gradients"),
        (["optimizer.name=adahessian", "wrapper=sam"], "differentiates the gradients"),
        (["optimizer.name=alig", "precision=fp16"], "evaluates the loss"),
        (["optimizer.name=alig", "wrapper=sam"], "evaluates the loss itself"),
        (["optimizer.name=alig", "schedule=cosine"], "AliG has no learning rate"),
    ],
    ids=str,
)
def test_what_does_not_go_together_is_said(lines: list[str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        experiment(*ZOO, *lines)
