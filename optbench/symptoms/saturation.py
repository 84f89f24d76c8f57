"""Units that stand at an end of their range."""

from __future__ import annotations

from optbench.symptoms.layers import OfLayers


class Saturation(OfLayers):
    """A layer's tanh or sigmoid units are saturated."""

    name = "saturation"
    group, share = "saturated/", 0.5
    help = f"more than {share:.0%} of a tanh's or sigmoid's outputs within 1 % of its ends"
    what = "activations are saturated: where they are flat they pass no gradient on"
    of = "the outputs"
    cause = "weights drawn too large, inputs that are not normalised, a learning rate too high"
    remedy = "model.activation=relu"
