"""Training and evaluation mode: what draws or looks at the batch when it should not."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from optbench.check.base import Finding, failed, first_few, warned
from optbench.check.setup import Setup
from optbench.check.structure import drawing
from optbench.tasks.base import Lanes
from optbench.torch_internals import NormBase
from optbench.training import rng

UNLIKE = 1e-3
"""Relative: scores of the same examples that differ by more are not the same."""


def modes(setup: Setup) -> Iterator[Finding]:
    """Yield what is wrong with modes."""
    yield from _random_evaluation(setup)
    yield from _not_training(setup)


def _score(setup: Setup, batch: Any, seed: int) -> dict[str, float]:
    state = setup.experiment.state
    with setup.looking(training=False), torch.no_grad(), state.precision.forward():
        rng.seed_everything(seed)
        sums = state.task.score(setup.modules, batch)
    return {name: float(value) for name, value in sums.items()}


def _random_evaluation(setup: Setup) -> Iterator[Finding]:
    batch = setup.batch(max(2, setup.few), augmented=False)
    if isinstance(batch, Lanes):
        batch = batch.batch
    stay = [
        f"{name}"
        for module in setup.modules.values()
        for name, each in _after_eval(setup, module)
        if each
    ]
    one, other = _score(setup, batch, seed=1), _score(setup, batch, seed=2)
    unlike = [k for k in one if _far(one[k], other[k])]
    if unlike:
        kind = _drawn_by(setup, batch)
        yield failed(
            f"evaluation is random: {kind}",
            f"{unlike[0]} of the same examples {one[unlike[0]]:.5g} and {other[unlike[0]]:.5g}"
            + (f"; in training mode after eval(): {first_few(stay)}" if stay else ""),
            "F.dropout without training=self.training, or train() that ignores its mode",
            "F.dropout(x, p, training=self.training)",
        )
    elif stay:
        yield failed(
            f"{first_few(stay)} in training mode after eval()",
            cause="a train() of the model's own that ignores its mode",
            remedy="def train(self, mode=True): return super().train(mode)",
        )
    elif setup.task_size(batch) > 1 and len(setup.players) == 1:
        yield from _looks_at_the_batch(setup, batch, one)


def _after_eval(setup: Setup, module: nn.Module) -> list[tuple[str, bool]]:
    with setup.looking(training=False):
        return [(name, each.training) for name, each in module.named_modules() if name]


def _drawn_by(setup: Setup, batch: Any) -> str:
    """Return what draws in an evaluation, by the names of torch's own operations."""
    state = setup.experiment.state
    with setup.looking(False), torch.no_grad(), state.precision.forward(), drawing() as draws:
        state.task.score(setup.modules, batch)
    drops = [name for name in draws if "bernoulli" in name or "dropout" in name]
    return "dropout is active in it" if drops else f"{first_few(draws) or 'something'} draws in it"


def _far(one: float, other: float) -> bool:
    return abs(one - other) > UNLIKE * max(abs(one), abs(other), 1e-6)


def _looks_at_the_batch(setup: Setup, batch: Any, whole: dict[str, float]) -> Iterator[Finding]:
    """Tell of scores that depend on which examples are in a batch together."""
    count = len(setup.feed.indices[: max(2, setup.few)])
    halves = [setup.feed.indices[: count // 2], setup.feed.indices[count // 2 : count]]
    parts = [_score(setup, setup.examples(setup.feed.source, i), seed=1) for i in halves]
    name = "loss" if "loss" in whole else next(iter(whole))
    total = sum(part[name] for part in parts)
    if not math.isfinite(total - whole[name]):
        return  # the checks of losses and gradients say so
    if setup.feed.lanes or abs(total - whole[name]) <= 0.02 * abs(whole[name]) + 1e-6:
        return
    yield warned(
        "an example's score depends on which others are in its batch",
        f"{name} {whole[name]:.5g} together, {total:.5g} in two halves",
        "batch statistics in evaluation (track_running_stats=False), or a score that is no sum",
        "BatchNorm with running statistics",
    )


def _not_training(setup: Setup) -> Iterator[Finding]:
    """Tell of modules that stay in evaluation mode, and of statistics that do not move."""
    for player in setup.players:
        module = player.module
        with setup.looking():
            still = [n for n, m in module.named_modules() if n and not m.training]
        norms = {n: m for n, m in module.named_modules() if isinstance(m, NormBase)}
        tracked = {n: m for n, m in norms.items() if isinstance(m.running_mean, Tensor)}
        frozen = [n for n in tracked if n in still] or _unmoved(setup, player.name, tracked)
        kept = setup.config.weights.path is not None
        if frozen:
            tell = warned if kept else failed
            yield tell(
                f"BatchNorm frozen: the statistics of {first_few(frozen)} do not move in training",
                f"{len(frozen)} of {len(tracked)} layers"
                + ("" if kept else ", which start at mean 0 and variance 1"),
                "eval() of a part of the model, or momentum=0",
                "leave eval() out; train() reaches every module",
            )
        others = [n for n in still if n not in norms]
        if others and not frozen:
            yield warned(
                f"{first_few(others)} in evaluation mode while training",
                cause="a train() of the model's own, or eval() in its forward",
            )


def _unmoved(setup: Setup, player: str, tracked: dict[str, Any]) -> list[str]:
    if not tracked:
        return []
    state = setup.experiment.state
    batch = setup.batch(max(2, setup.few))
    before = {name: norm.running_mean.clone() for name, norm in tracked.items()}
    with setup.looking(), torch.no_grad(), state.precision.forward():
        state.task.loss(setup.modules, batch, player)
        return [n for n, norm in tracked.items() if torch.equal(norm.running_mean, before[n])]
