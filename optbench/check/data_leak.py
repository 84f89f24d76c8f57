"""Examples that stand in more than one of training, validation and test set."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch

from optbench.check.base import Finding, failed, warned
from optbench.check.scan import Scan
from optbench.check.setup import Setup

if TYPE_CHECKING:
    from optbench.check.data import Splits

FAIL, TELL = 0.01, 0.001
"""Of a set's examples that are in another one; data sets as they are published stay below."""
FEWEST = 3
FEW_KINDS = 0.5
"""Of the training examples that differ at all: below it inputs are few, and equal ones no leak."""


def leaks(setup: Setup, splits: Splits) -> Iterator[Finding]:
    """Yield which sets share examples."""
    train = splits.train
    for other in (splits.test, splits.val):
        if other is not None:
            yield from _shared(setup, train, other)
    if splits.val is not None and splits.test is not None:
        yield from _shared(setup, splits.val, splits.test)


def _shared(setup: Setup, one: Scan, other: Scan) -> Iterator[Finding]:
    if not one.count or not other.count or one.shape != other.shape:
        return
    both = torch.isin(other.hashes, one.hashes)
    count = int(both.sum())
    part = count / other.count * (one.total / one.count)
    if count < FEWEST or part < TELL:
        return
    kinds = len(one.hashes.unique()) / one.count
    tell = failed if part > FAIL and kinds > FEW_KINDS else warned
    where = {"train": "training", "val": "validation"}.get(one.name, one.name)
    looked = f"of {one.of_how_many} and {other.of_how_many} examples, by hash"
    cause = f"a leak: {other.name} scores are of examples that were learned"
    if kinds <= FEW_KINDS:
        cause = f"inputs are few: {kinds:.0%} of the {where} examples differ at all"
    yield tell(
        f"{count:,} {other.name} examples are {where} examples too ({count / other.count:.1%})",
        looked,
        cause,
        "split before copies are made" if other.name == "val" else "leave them out of training",
        shared=float(count),
    )
