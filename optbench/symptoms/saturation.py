"""Units that stand at an end of their range."""

from __future__ import annotations

from optbench.symptoms.base import Record, Symptom
from optbench.symptoms.layers import OfLayers


class Saturation(OfLayers):
    """A layer's tanh or sigmoid units are saturated."""

    name = "saturation"
    group, share = "saturated/", 0.5
    help = f"more than {share:.0%} of a tanh's or sigmoid's outputs within 1 % of its ends"

    def observe(self, record: Record) -> Symptom | None:
        """Look at each layer's share of saturated outputs."""
        if self.variant is not None or (found := self.worst(record)) is None:
            return None
        tag, share = found
        return self.found(
            record,
            "activations are saturated: where they are flat they pass no gradient on",
            f"{share:.0%} of the outputs of {tag.partition('/')[2]}",
            "weights drawn too large, inputs that are not normalised, a learning rate too high",
            self.facts.lower(10),
            "model.activation=relu",
            severe=True,
            tags=(tag,),
        )
