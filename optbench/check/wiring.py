"""Whether what should be trained is, by the loss that is meant, in the mode that is meant."""

from __future__ import annotations

from collections.abc import Iterator

from optbench.check.base import Finding, Skipped, passed
from optbench.check.setup import Setup
from optbench.check.wiring_loss import losses
from optbench.check.wiring_modes import modes
from optbench.check.wiring_parameters import parameters


class Wiring:
    """Parameters, loss and modes."""

    name = "wiring"

    def run(self, setup: Setup) -> Iterator[Finding]:
        """See `Check`."""
        if setup.is_function:
            raise Skipped("a test function is a point, not a model")
        anything = False
        for part in (parameters, losses, modes):
            for finding in part(setup):
                anything = True
                yield finding
        if not anything:
            count = setup.experiment.parameters
            yield passed(
                f"{count:,} parameters get gradients and have a group; the loss is a mean; "
                "evaluation draws nothing"
            )
