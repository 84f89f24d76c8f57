"""What ends a run before its last step: a signal, a wish, a loss that is not finite."""

from __future__ import annotations

from optbench.training.distributed import AsyncFlagReduce, World
from optbench.training.nonfinite import NonFinite
from optbench.training.settings import Outcome
from optbench.training.signals import Interruption


class Stops:
    """Ends the run, on all ranks at the same step, for whatever any of them has to say.

    Args:
        world: the ranks.
        interruption: whether there was a signal.
        nonfinite: whether there was a number that ends the run.
        outcome: of the run, whose state and message are set.

    Attributes:
        reason: why somebody asked for a stop; None if nobody did.
    """

    def __init__(
        self, world: World, interruption: Interruption, nonfinite: NonFinite, outcome: Outcome
    ) -> None:
        self._alone = world.size == 1
        self._agreement = AsyncFlagReduce(world, 3)
        self.interruption, self.nonfinite, self.outcome = interruption, nonfinite, outcome
        self.reason: str | None = None

    def check(self) -> None:
        """Look after a step; other ranks' flags are those of the step before."""
        if self._alone and not (
            self.interruption.number or self.nonfinite.at or self.reason is not None
        ):
            return
        self._apply(self._agreement.exchange(self._flags(self.interruption.number)))

    def settle(self) -> None:
        """Look before something that all ranks do; a signal waits until after it."""
        self._apply(self._agreement.settle(self._flags(0)))

    def settle_last(self) -> None:
        """Look at the run's end, which alone ends a run no sooner: only bad numbers still tell."""
        flags = self._agreement.settle(self._flags(0))
        if self.outcome.state == "running" or flags[1]:
            self._apply(flags)

    def check_own(self) -> None:
        """Look at what this rank alone has noticed since; of several ranks, later."""
        if self._alone:
            self._apply(self._flags(0))

    def nonfinite_weights(self) -> None:
        """End the run for weights that are not finite, which every rank sees."""
        self._apply([0, self.nonfinite.at, 0])

    def _flags(self, signal: int) -> list[int]:
        """Return what this rank has to say: a signal, a step that is not finite, a wish to stop."""
        return [signal, self.nonfinite.at, self.reason is not None]

    def _apply(self, flags: list[int]) -> None:
        signal, bad_step, stop = flags
        if bad_step:
            message = self.nonfinite.message or f"another rank's loss at step {bad_step}"
            self.outcome.state, self.outcome.message = "diverged", message
        elif signal:
            self.outcome.state, self.outcome.signal = "preempted", signal
        elif stop and self.outcome.state == "running":
            self.outcome.state = "stopped_early"
            self.outcome.message = self.reason or "another rank asked to stop"
