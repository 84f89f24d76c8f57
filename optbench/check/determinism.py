"""Whether the same seed gives the same bits, and a run that is gone on with, too."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from optbench.assemble.experiment import Experiment
from optbench.check.base import Finding, Skipped, failed, passed
from optbench.check.ranks import several_ranks
from optbench.check.setup import Setup
from optbench.training import rng
from optbench.training.checkpoint import Loaded
from optbench.training.settings import Cadence

SHARE = 0.1
"""Of the time, above which it does not begin."""
STEPS = 4


class Determinism:
    """Two builds of the seed, some steps each; a third goes on from half way."""

    name = "determinism"

    def run(self, setup: Setup) -> Iterator[Finding]:
        """See `Check`."""
        steps = min(STEPS, setup.experiment.settings.total_steps)
        size = setup.feed.batch_size
        needed = 4 * steps * setup.step_seconds
        while needed > SHARE * setup.seconds and size > 2:
            size, needed = size // 2, needed / 2
        if needed > 2 * SHARE * setup.seconds:
            raise Skipped(
                f"a step takes long here: seconds={math.ceil(10 * needed)} leaves time for it"
            )
        before = rng.capture()
        try:
            yield self._compared(setup, steps, size)
        finally:
            rng.restore(before)
        if setup.ranks > 1:
            yield several_ranks(setup, setup.ranks)

    def _compared(self, setup: Setup, steps: int, size: int) -> Finding:
        first = _trained(_short(setup, size), steps)
        second = _trained(_short(setup, size), steps)
        differ = _first_unlike(first, second)
        remedy = "deterministic=true"
        if setup.device.type == "cpu" or setup.config.deterministic:
            remedy = "draw from torch's, NumPy's or Python's generator, never from the clock"
        evidence = f"{steps} steps of {size} examples"
        if differ:
            cause = "kernels that add in any order, or draws that no seed rules"
            return failed(f"the same seed gives other weights: {differ}", evidence, cause, remedy)
        if steps < 2:
            return passed("the same seed gives the same weights to the bit", evidence)
        half = _short(setup, size)
        _trained(half, steps // 2)
        shared, own = copy.deepcopy(half.state.shared()), copy.deepcopy(half.state.own())
        anew = _short(setup, size)
        anew.state.load(Loaded(steps // 2, shared, own, setup.world.size))
        differ = _first_unlike(first, _trained(anew, steps))
        if differ:
            cause = "a state that is in no state_dict, or draws that no seed rules"
            what = f"a run that is resumed ends with other weights: {differ}"
            return failed(what, evidence, cause, "register what the model keeps as a buffer")
        return passed(
            "the same seed, and a resumed run, give the same weights to the bit", evidence
        )


def _short(setup: Setup, size: int) -> Experiment:
    experiment = setup.build()
    feed = experiment.feed
    if size != feed.batch_size:
        feed = feed.whole(size)
    settings = replace(experiment.settings, cadence=Cadence(), patience=0)
    return replace(experiment, feed=feed, settings=settings, validation=None, test=None)


def _trained(experiment: Experiment, until: int) -> dict[str, Tensor]:
    """Return the weights and buffers at a step."""
    experiment.trainer().run(until=until)
    return {
        f"{player.name}.{name}": value.detach().clone()
        for player in experiment.state.players
        for name, value in player.module.state_dict().items()
        if isinstance(value, Tensor)
    }


def _first_unlike(one: dict[str, Tensor], other: dict[str, Tensor]) -> str:
    """Return the first tensor that differs, and by how much; empty where none does."""
    for name, value in one.items():
        if not torch.equal(value.nan_to_num(), other[name].nan_to_num()):
            gap = float((value.double() - other[name].double()).abs().max())
            return f"{name} by {gap:.2g}"
    return ""
