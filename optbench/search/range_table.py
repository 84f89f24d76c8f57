"""What a range test found, as the rows of a table, and how each seed's test ended. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from optbench.search.lr_range import RECOMMENDED, Spread

if TYPE_CHECKING:
    from optbench.search.find_lr import Trial

HEADER = ["rule", "lr", "least", "greatest", "by seed"]
LABELS = {
    "valley": "valley: the middle of the longest descent",
    "steepest": "steepest descent over log lr",
    "minimum_over_ten": "a tenth of the minimum's",
}


def rows_of(spreads: Mapping[str, Spread], trials: Sequence[Trial]) -> list[list[str]]:
    """Return a row for each rule: its median, least and greatest rate, and each seed's."""
    rows = []
    for rule, spread in spreads.items():
        numbers = [_number(v) for v in (spread.median, spread.low, spread.high)]
        each = " ".join(_number(trial.suggestions[rule]) for trial in trials)
        mark = " (recommended)" if rule == RECOMMENDED else ""
        rows.append([LABELS[rule] + mark, *numbers, each])
    return rows


def end_of(trial: Trial) -> str:
    """Return how a seed's test ended, in a line."""
    why = f": {trial.message}" if trial.message else ""
    losses = trial.curve.smoothed().losses
    still = trial.ended == "finished" and min(losses[1:]) in losses[-2:]
    more = "; the loss still falls: raise --to" if still else ""
    return f"seed {trial.seed}: {trial.ended} after {len(trial.curve.losses)} steps{why}{more}"


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.3g}"
