"""What speaks against a learning rate that `find-lr` recommends: few points, few seeds, edges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from optbench.search.lr_range import RECOMMENDED, Ramp, Spread, skipped

if TYPE_CHECKING:
    from optbench.search.find_lr import Trial

FEW_POINTS = 30
"""Three times the steps that the smoothing averages over; a rule that sees less sees noise."""
WIDE = 3.0
"""Times the least, at which suggestions by seed are no longer about the same."""


def caveats(ramp: Ramp, trials: Sequence[Trial]) -> list[str]:
    """Return each caveat in a line; none where the tests agree in the middle of their range."""
    found = [trial.suggestions[RECOMMENDED] for trial in trials]
    lrs = [lr for lr in found if lr is not None]
    if not lrs:
        return []
    seen = [_seen(ramp, trial) for trial, lr in zip(trials, found, strict=True) if lr is not None]
    said = []
    fewest = min(map(len, seen))
    if fewest < FEW_POINTS:
        said.append(
            f"it rests on {fewest} points, of which the smoothing averages ten: "
            f"raise --steps ({ramp.steps}), or lower --to if it diverges early"
        )
    if len(trials) == 1:
        said.append("one seed does not show how much another would differ: raise --seeds")
    elif len(lrs) < len(trials):
        said.append(f"of {len(trials)} seeds only {len(lrs)} suggest one")
    spread = Spread.of(lrs)
    if spread.low and spread.high and spread.high > WIDE * spread.low:
        times = spread.high / spread.low
        said.append(f"the seeds differ by a factor of {times:.2g}: raise --seeds or --steps")
    return [*said, *_edges(lrs, seen)]


def _seen(ramp: Ramp, trial: Trial) -> list[float]:
    """Return the learning rates that the rules look at."""
    return trial.curve.before_divergence().smoothed().lrs[skipped(ramp.steps) :]


def _edges(lrs: Sequence[float], seen: Sequence[Sequence[float]]) -> list[str]:
    """Return a caveat for each end of what was looked at where a suggestion lies.

    The best may lie outside.
    """
    at = [min(range(len(s)), key=lambda i: abs(s[i] - lr)) for lr, s in zip(lrs, seen, strict=True)]
    said = []
    if any(index == 0 for index in at):
        said.append("it lies at the lower end of what was looked at: lower --from")
    if any(index == len(s) - 1 for index, s in zip(at, seen, strict=True)):
        said.append("it lies at the upper end of what was looked at: raise --to")
    return said
