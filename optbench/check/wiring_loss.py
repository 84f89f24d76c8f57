"""Whether the loss is a mean over examples, and gets logits where it wants logits."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from optbench.check.base import Finding, failed, warned
from optbench.check.setup import Setup
from optbench.training.player import Player

FAR = 0.25
"""Relative: how far from 1 the loss of a batch twice may be from the loss of it once."""


def losses(setup: Setup) -> Iterator[Finding]:
    """Yield what is wrong with the loss."""
    for player in setup.players:
        if not setup.feed.lanes:
            yield from _averaged(setup, player)
    if len(setup.players) == 1 and setup.task.splits and ("accuracy" in setup.task.metrics):
        yield from _softmax_twice(setup, setup.players[0])


def _averaged(setup: Setup, player: Player) -> Iterator[Finding]:
    few = max(2, setup.few)
    indices = setup.feed.indices[:few]
    once = setup.loss(setup.examples(setup.feed.source, indices), player.name, training=False)
    again = torch.cat([indices, indices])
    twice = setup.loss(setup.examples(setup.feed.source, again), player.name, training=False)
    if not once or not math.isfinite(once) or not math.isfinite(twice):
        return
    ratio = twice / once
    if abs(ratio - 1) <= FAR:
        return
    count = len(indices)
    what = "the loss is a sum over examples, not a mean"
    if ratio < 1:
        what = "the loss gets smaller with the batch: it is divided by its size twice"
    remedy = "reduction='mean' in the loss"
    if setup.config.task.get("loss") and isinstance(setup.config.task["loss"], dict):
        remedy = "'task.loss.arguments={reduction: mean}'"
    yield failed(
        what,
        f"{once:.4g} of {count} examples, {twice:.4g} of the same twice",
        "reduction='sum', or a division that is missing: lr would have to follow the batch size",
        remedy,
        ratio=ratio,
    )


def _softmax_twice(setup: Setup, player: Player) -> Iterator[Finding]:
    chosen = getattr(setup.task, "chosen", None)
    if chosen is not None and type(chosen).__name__ != "CrossEntropyLoss":
        return
    state = setup.experiment.state
    batch = setup.batch(setup.few)
    with setup.looking(training=False), torch.no_grad(), state.precision.forward():
        outputs = state.task.predict(setup.modules, batch, player.name)
    if not isinstance(outputs, Tensor) or outputs.ndim < 2 or not outputs.is_floating_point():
        return
    outputs = outputs.float()
    last = outputs.shape[-1]
    within = bool((outputs >= 0).all() and (outputs <= 1).all())
    if last > 1 and within and bool((outputs.sum(-1) - 1).abs().max() < 1e-3):
        yield failed(
            "softmax twice: the model gives probabilities, and cross-entropy wants logits",
            f"outputs from {float(outputs.min()):.3g} to {float(outputs.max()):.3g}, rows sum to 1",
            "a softmax at the model's end",
            "leave it out: cross-entropy has it",
        )
    elif within and float(outputs.std()) > 1e-6:
        yield warned(
            "the model's outputs are all from 0 to 1, and cross-entropy wants logits",
            f"{float(outputs.min()):.3g} to {float(outputs.max()):.3g}",
            "a sigmoid at the model's end",
            "leave it out",
        )
    elif bool((outputs >= 0).all()) and 0.25 < float((outputs == 0).float().mean()) < 1:
        yield warned(
            "a quarter of the logits is 0, and none is negative",
            cause="a ReLU at the model's end, behind which no gradient comes",
            remedy="leave it out",
        )
