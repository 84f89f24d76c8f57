"""Units that are 0 whatever comes in."""

from __future__ import annotations

from optbench.symptoms.layers import OfLayers


class DeadReLU(OfLayers):
    """Most of a layer's ReLUs are dead."""

    name = "dead_relu"
    group, share = "dead_units/", 0.6
    help = f"more than {share:.0%} of a layer's ReLUs are 0 for all of a batch, twice in a row"
    what = "ReLUs are dead: 0 for every example of a batch, so they learn nothing"
    of = "the units"
    cause = "a learning rate too high at first, biases far below 0, inputs that are not normalised"
    remedy = "schedule.warmup_steps=10%"
