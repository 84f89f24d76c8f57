"""Whether a few examples can be learned by heart: a model that can't has a bug, or stands still."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from optbench.check.base import Finding, Skipped, failed, passed, warned
from optbench.check.setup import MOST_EXAMPLES, Setup
from optbench.check.short import Short, short_run
from optbench.check.structure import pair
from optbench.data.dataset import Source
from optbench.training.batches import BatchStream

SHARE = 0.25
"""Of the time."""
EXAMPLES = 16
MOST_STEPS = 1000
FEWEST, ENOUGH = 20, 300
"""Steps with which there is something to say, and with which no success is a failure."""
HALF = 0.5
"""Of the first loss: a model that comes so far is no bug."""
LEARNED = 0.05
"""Of the first loss, where the least is 0."""
FALLEN = 0.5
"""Of the first loss, where nobody knows the least one (as of pixels): it has to fall below."""
DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout)
RATES = (1e-3, 1e-2, 1e-4)
"""Of Adam, tried in turn where the run's own optimizer does not get there."""


class Overfit:
    """The first examples, the same at every step, without augmentation and dropout."""

    name = "overfit"

    def run(self, setup: Setup) -> Iterator[Finding]:
        """See `Check`."""
        player = setup.only_player("their losses do not fall to 0")
        if setup.is_function:
            raise Skipped("a test function has no examples")
        if not player.needs.gradients:
            raise Skipped("the optimizer asks for no gradients")
        if setup.feed.lanes:
            raise Skipped("a state is carried from batch to batch: none stands alone")
        left = setup.deadline(SHARE)
        feed = _same_batch(setup, min(EXAMPLES, max(2, setup.few)))
        own = self._own(setup, feed, left() / 2)
        first = own.losses[0] if own.losses else float("nan")
        least, count = min(own.losses, default=float("inf")), len(own.losses)
        evidence = f"loss {first:.3g} to {least:.3g}"
        if not own.diverged and least <= _goal(setup, first):
            what = f"{feed.batch_size} examples are learned by heart in {count} steps"
            yield passed(what, evidence, steps=count, loss=least)
        elif not own.diverged and least <= HALF * first:
            what = f"{feed.batch_size} examples are being learned by heart: "
            what += f"{count} steps, for which there was time, go more than half the way"
            yield passed(what, evidence, steps=count, loss=least)
        else:
            yield self._by_adam(setup, feed, left, own)

    def _own(self, setup: Setup, feed: BatchStream, seconds: float) -> Short:
        with setup.put_back(), _without_dropout(setup):
            batch = next(iter(feed.step_at(0, 0).micros)).batch
            loss = setup.loss(batch, setup.players[0].name)
            return short_run(
                setup.experiment, MOST_STEPS, seconds=seconds, feed=feed, least=_goal(setup, loss)
            )

    def _by_adam(
        self, setup: Setup, feed: BatchStream, left: Callable[[], float], own: Short
    ) -> Finding:
        first = own.losses[0] if own.losses else float("nan")
        goal = max(_goal(setup, first), HALF * first)
        found: dict[float, Tried] = {}
        for number, lr in enumerate(RATES):
            tried = _adam(setup, feed, lr, left() / (len(RATES) - number), goal)
            if tried.losses:
                found[lr] = tried
            if tried.least <= goal:
                break
        stuck = "diverged" if own.diverged else f"stuck at {own.end:.3g}"
        said = f"{len(own.losses)} steps of the run's optimizer: {first:.3g} to {own.end:.3g}"
        best = min(found, key=lambda lr: found[lr].least, default=None)
        fewest = min((len(each.losses) for each in found.values()), default=0)
        if best is None or (fewest < FEWEST and found[best].least > goal):
            raise Skipped(
                f"there was time for {fewest} steps only; seconds={max(10.0, 10 * setup.seconds):g}"
            )
        least, count = found[best].least, len(found[best].losses)
        if least <= goal:
            what = f"{feed.batch_size} examples are not learned by heart ({stuck}); "
            what += f"Adam at lr {best:g} gets to {least:.3g} in {count} steps"
            cause = "the learning rate, clipping or the optimizer, not the model"
            return warned(what, said, cause, f"optimizer=adam optimizer.lr={best:g}")
        tried_too = "; ".join(f"Adam {lr:g}: {each.least:.3g}" for lr, each in found.items())
        evidence = f"{said}; {tried_too}"
        same = all(each.blind for each in found.values())
        what = f"{feed.batch_size} examples can't be learned by heart: stuck at loss {least:.3g}"
        if same:
            what += ", with one output for all of them"
        cause = "a model that gets no gradient, units that are dead or equal, a wrong loss"
        hard = any(isinstance(m, nn.RNNBase) for m in setup.players[0].module.modules())
        if not same and (hard or fewest < ENOUGH or math.isnan(least)):
            cause = "too few steps for it, or a bug"
            remedy = f"seconds={max(10.0, 10 * setup.seconds):g}"
            return replace(warned(what, evidence, cause, remedy), numbers={"loss": least})
        return replace(failed(what, evidence, cause, "model.init=kaiming"), numbers={"loss": least})


@dataclass(frozen=True)
class Tried:
    """What came of a rate.

    Attributes:
        losses: of its steps.
        blind: whether the outputs are the same for all examples.
    """

    losses: list[float]
    blind: bool = False

    @property
    def least(self) -> float:
        """The least loss."""
        return min(self.losses, default=float("inf"))


def _adam(setup: Setup, feed: BatchStream, lr: float, seconds: float, goal: float) -> Tried:
    """Return what Adam does on the same batch."""
    state = setup.experiment.state
    batch = next(iter(feed.step_at(0, 0).micros)).batch
    losses: list[float] = []
    end = time.perf_counter() + seconds
    with setup.put_back(), _without_dropout(setup):
        player = state.players[0]
        player.forward.train()
        modules = {player.name: player.module}
        optimizer = torch.optim.Adam(player.parameters, lr=lr)
        while len(losses) < MOST_STEPS and time.perf_counter() < end:
            optimizer.zero_grad()
            loss = state.task.loss(modules, batch, player.name)
            losses.append(float(loss.detach()))
            if losses[-1] <= goal or losses[-1] != losses[-1] or not loss.requires_grad:
                break
            loss.backward()
            optimizer.step()
        blind = _blind(state.task.predict(modules, batch, player.name) if state.task.splits else 0)
    return Tried([loss for loss in losses if loss == loss], blind)


def _blind(outputs: object) -> bool:
    """Return whether outputs do not depend on the example."""
    if not isinstance(outputs, Tensor) or outputs.ndim < 2 or len(outputs) < 2:
        return False
    flat = outputs.detach().float().flatten(1)
    return float((flat - flat[0]).abs().max()) <= 1e-4 * max(float(flat.abs().max()), 1e-3)


def _goal(setup: Setup, first: float) -> float:
    """Return the loss that counts as learned."""
    smooth = setup.config.label_smoothing
    if setup.classifies or setup.task.tokens:
        return first * (LEARNED + smooth) if not smooth else first * (0.3 + smooth)
    if _is_regression(setup):
        return LEARNED * min(first, _spread_of_targets(setup))
    return first * FALLEN if first > 0 else first - 0.1 * abs(first)


def _is_regression(setup: Setup) -> bool:
    from optbench.tasks.regression import Regression

    return isinstance(setup.task, Regression)


def _spread_of_targets(setup: Setup) -> float:
    """Return the variance of some targets, which is the loss of a constant."""
    _, targets = pair(setup.batch(MOST_EXAMPLES))
    if targets is None or len(targets) < 2:
        return float("inf")
    return float(targets.double().var(0).mean()) or float("inf")


class _Again:
    """A source whose only batch is one that is there."""

    def __init__(self, batch: object, size: int) -> None:
        self._batch, self._size = batch, size

    def __len__(self) -> int:
        return self._size

    def stream(self, indices: Tensor, bounds: object, augment_key: int | None = None) -> object:
        """Yield the batch as often as one is asked for."""
        for _ in bounds:  # type: ignore[attr-defined]
            yield self._batch


def _same_batch(setup: Setup, count: int) -> BatchStream:
    """Return a stream of one batch, spread over the training set, again and again."""
    every = setup.feed.indices
    chosen = every[torch.linspace(0, len(every) - 1, count, dtype=torch.float64).long()]
    batch = setup.examples(setup.feed.source, chosen)
    size = len(chosen)
    source: Source = _Again(batch, size)  # type: ignore[assignment]
    return BatchStream(source, torch.arange(size), size, seed=setup.config.seed)


class _without_dropout:
    """Has dropout layers let everything through, and puts them back."""

    def __init__(self, setup: Setup) -> None:
        modules = [m for module in setup.modules.values() for m in module.modules()]
        self._layers = [m for m in modules if isinstance(m, DROPOUTS)]
        self._recurrent = [m for m in modules if isinstance(m, nn.RNNBase)]

    def __enter__(self) -> None:
        self._before = [layer.p for layer in self._layers]
        self._between = [layer.dropout for layer in self._recurrent]
        for layer in self._layers:
            layer.p = 0.0
        for each in self._recurrent:
            each.dropout = 0.0

    def __exit__(self, *_: object) -> None:
        for layer, p in zip(self._layers, self._before, strict=True):
            layer.p = p
        for each, dropout in zip(self._recurrent, self._between, strict=True):
            each.dropout = dropout
