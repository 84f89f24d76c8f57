"""The examples: ranges, labels, equal ones in several sets, what augmentation makes of them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from optbench.check.base import Finding, Skipped, passed
from optbench.check.data_augmentation import augmentation, draw
from optbench.check.data_inputs import inputs, swapped
from optbench.check.data_labels import labels
from optbench.check.data_leak import leaks
from optbench.check.data_reading import Unreadable, batches
from optbench.check.scan import Scan, scan
from optbench.check.setup import Setup
from optbench.data.permutation import LARGE

SHARE = 0.2
"""Of the time."""
ORDER = ("train", "val", "test")


@dataclass(frozen=True)
class Splits:
    """What was seen of each split."""

    train: Scan
    val: Scan | None
    test: Scan | None

    @property
    def all(self) -> list[Scan]:
        """Those that there are."""
        return [each for each in (self.train, self.val, self.test) if each is not None]


class Data:
    """One pass over each split, unaugmented, and a look at augmented examples."""

    name = "data"

    def run(self, setup: Setup) -> Iterator[Finding]:
        """See `Check`."""
        if setup.is_function:
            raise Skipped("a test function has no examples")
        try:
            yield from _findings(setup)
        except Unreadable as error:
            yield error.finding


def _findings(setup: Setup) -> Iterator[Finding]:
    first = setup.feed.indices[:2]
    wrong = swapped(next(batches("train", setup.feed.source, first, [(0, len(first))])))
    if wrong is not None:
        yield wrong
        return
    splits = _scanned(setup)
    found = [
        *inputs(setup, splits),
        *labels(setup, splits),
        *leaks(setup, splits),
        *augmentation(setup, splits),
    ]
    yield from found
    if not found:
        yield passed(_sizes(splits), _said(splits))
    if setup.out is not None:
        draw(setup)


def _scanned(setup: Setup) -> Splits:
    numbers = max(1, math.prod(setup.dataset.input_shape))
    experiment = setup.experiment
    seconds = SHARE * setup.seconds
    found: dict[str, Scan] = {}
    try:
        feed = experiment.feed
        found["train"] = scan("train", feed.source, feed.indices[:LARGE], seconds / 2, numbers)
        for each in (experiment.validation, experiment.test):
            if each is not None:
                found[each.name] = scan(each.name, each.source, each.indices, seconds / 4, numbers)
    except ValueError as error:
        raise Skipped(f"{error}: nothing is known of their parts") from error
    return Splits(found["train"], found.get("val"), found.get("test"))


def _sizes(splits: Splits) -> str:
    sizes = " + ".join(f"{each.of_how_many} {each.name}" for each in splits.all)
    return f"{sizes} examples: none in two sets, labels and ranges are in order"


def _said(splits: Splits) -> str:
    train = splits.train
    parts = [f"inputs {list(train.shape)} {str(train.dtype).removeprefix('torch.')}"]
    if train.channel_mean is not None and train.channel_std is not None:
        mean, std = float(train.channel_mean.mean()), float(train.channel_std.mean())
        parts.append(f"mean {mean:.2g}, deviation {std:.2g}")
    if train.labels is not None and len(train.labels):
        counts = torch.bincount(train.labels)
        counts = counts[counts > 0]
        parts.append(f"{len(counts)} classes of {int(counts.min()):,} to {int(counts.max()):,}")
    return "; ".join(parts)
