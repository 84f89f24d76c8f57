"""By which metric runs are compared, and which way it is better."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from optbench.comparison.record import Record
from optbench.config.better import mode_by_name
from optbench.config.suggest import did_you_mean
from optbench.errors import UserError

SPLITS = ("test", "val", "train")
"""The test set where all have it: validation may have chosen the settings."""
MODES = ("min", "max")


@dataclass(frozen=True)
class Metric:
    """What is compared: its tag, such as `test/accuracy`, and `min` or `max`."""

    tag: str
    mode: str


def metric_of(records: Sequence[Record], asked: str | None, mode: str | None) -> Metric:
    """Return what runs are compared by.

    Args:
        records: of all arms.
        asked: a tag, such as `val/loss`, or its name, `loss`. Default: the name of the runs'
            target, or of what their best evaluation is of, or else the loss.
        mode: `min` or `max`. Default: as the runs have it, or as the name says.

    Raises:
        UserError: no run finished; not all that did have it.
    """
    if mode not in (None, *MODES):
        raise UserError(f"mode={mode}: expected min or max")
    finished = [record for record in records if not record.missed]
    if not finished:
        raise UserError(
            f"none of {len(records)} runs finished: all failed or diverged, there is no score"
        )
    common = set.intersection(*(set(record.final) for record in finished))
    scores = sorted(tag for tag in common if tag.partition("/")[0] in (*SPLITS, "test_best"))
    wanted = asked or _own(finished)
    tags = [wanted] if "/" in wanted else [f"{split}/{wanted}" for split in SPLITS]
    tag = next((tag for tag in tags if tag in common), None)
    if tag is None:
        if not scores:
            raise UserError("the runs have no metric in common")
        names = (
            scores if "/" in wanted else list(dict.fromkeys(t.partition("/")[2] for t in scores))
        )
        known = did_you_mean(wanted, names)
        raise UserError(f"metric={wanted}: not every run that finished has it; {known}")
    if not any(math.isfinite(record.final[tag]) for record in finished):
        raise UserError(f"{tag} is a number of no run: all are NaN or infinite")
    return Metric(tag, mode or _mode(finished, tag))


def _own(records: Sequence[Record]) -> str:
    """Return the name of the metric that runs themselves go by."""
    for record in records:
        for said in (record.config.get("target"), record.past.best):
            metric = said.get("metric") if isinstance(said, dict) else None
            if isinstance(metric, str) and "/" in metric:
                return metric.partition("/")[2]
    return "loss"


def _mode(records: Sequence[Record], tag: str) -> str:
    """Return which way is better, as some run has it of the same name, or as the name says."""
    name = tag.partition("/")[2]
    said: list[Any] = [record.past.best for record in records]
    said += [record.past.summary.get("target") for record in records]
    for each in said:
        if each and str(each["metric"]).partition("/")[2] == name and each["mode"] in MODES:
            return str(each["mode"])
    return mode_by_name(tag)
