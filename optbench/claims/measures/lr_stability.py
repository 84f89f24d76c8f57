"""The learning rates from which gradient descent overshoots, and from which it diverges."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from optbench.claims.found import Found, Ran
from optbench.claims.measured import Measured
from optbench.plots.png import Picture

STEEP = "val/x1"
"""The coordinate along which the function is curved most."""


def measure(found: Found) -> Measured:
    """Return both thresholds: the middle between the last lr without, and the first one with."""
    values = {
        "overshoots": {0: threshold(found, "overshoots", overshoots)},
        "diverges": {0: threshold(found, "diverges", diverges)},
    }
    ends = {
        part: ([lr for lr, _ in _by_lr(found, part)], [_end(ran) for _, ran in _by_lr(found, part)])
        for part in values
    }
    pictures = [
        Picture(
            {part: ends[part] for part in ends},
            title="loss at the end over that at the beginning",
            x_label="learning rate",
            log_y=True,
        )
    ]
    return Measured(values, pictures)


def threshold(found: Found, part: str, does: Callable[[Ran], bool]) -> float | None:
    """Return the learning rate from which on a part's runs do it; None where none parts them."""
    runs = _by_lr(found, part)
    for (low, below), (high, above) in pairwise(runs):
        if not does(below) and does(above):
            return (low + high) / 2
    return None


def overshoots(ran: Ran) -> bool:
    """Return whether the steep coordinate changes its sign from a step to the next."""
    _, xs = ran.series(STEEP)
    return xs[0] < 0 or any(one * other < 0 for one, other in pairwise(xs))


def diverges(ran: Ran) -> bool:
    """Return whether the loss ends above that of the first step, or is no number."""
    return not ran.ended_well or _end(ran) > 1


def _end(ran: Ran) -> float:
    _, losses = ran.series("val/loss_gap")
    return losses[-1] / losses[0]


def _by_lr(found: Found, part: str) -> list[tuple[float, Ran]]:
    runs = [(float(ran.setting("optimizer.lr")), ran) for ran in found.runs(part)]
    return sorted(runs, key=lambda pair: pair[0])
