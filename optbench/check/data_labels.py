"""Labels: which there are, in what order, and whether they say anything of the inputs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from optbench.check.base import Finding, failed, first_few, warned
from optbench.check.neighbours import Learned, learn
from optbench.check.scan import Scan
from optbench.check.setup import Setup
from optbench.check.structure import pair
from optbench.data.dataset import Source

if TYPE_CHECKING:
    from optbench.check.data import Splits

FEWEST = 400
"""Examples that are enough to tell labels from shuffled ones."""
SURE = 3.0
"""Deviations above chance."""
UNEQUAL = 20.0
"""Times that one class may be larger than another before it is told."""
ASKED = 800
"""Examples whose labels are guessed."""
KEPT_OF = 0.4
"""Of the accuracy within the training set, below which another set's labels do not fit it."""


def labels(setup: Setup, splits: Splits) -> Iterator[Finding]:
    """Yield what is wrong with labels."""
    train = splits.train
    if train.labels is None or train.kept is None or train.kept_labels is None:
        return
    classes = setup.dataset.num_classes or int(train.labels.max()) + 1
    outside = [s for s in splits.all if s.labels is not None and _outside(s.labels, classes)]
    if outside:
        yield _overflowed(outside[0], classes)
        return
    yield from _missing(splits, classes)
    if setup.config.shuffle == "none" and not setup.feed.lanes:
        yield from _sorted(setup)
    yield from _disagreeing(train)
    yield from _telling(setup, splits)


def _outside(found: Tensor, classes: int) -> bool:
    return bool((found < 0).any() or (found >= classes).any())


def _overflowed(split: Scan, classes: int) -> Finding:
    assert split.labels is not None
    low, high = int(split.labels.min()), int(split.labels.max())
    cause = "labels that begin at 1, or a class that num_classes does not count"
    what = f"labels of {split.name} from {low} to {high}, not from 0 to {classes - 1}"
    if low < 0:
        cause = f"integers overflow: {classes} classes are too many for a narrow type, such as int8"
    return failed(what, "", cause, "labels as int64 from 0 on, in the data set")


def _missing(splits: Splits, classes: int) -> Iterator[Finding]:
    train = splits.train
    assert train.labels is not None
    counts = torch.bincount(train.labels, minlength=classes)
    none = [int(c) for c in (counts == 0).nonzero()]
    enough = train.whole or train.count > 50 * classes
    if none and enough:
        elsewhere = [
            s.name
            for s in splits.all
            if s.labels is not None and bool(torch.isin(s.labels, torch.tensor(none)).any())
        ]
        where = f"; there are in {' and '.join(elsewhere)}" if elsewhere else ""
        yield failed(
            f"class {first_few(map(str, none))} of {classes} has no training example",
            f"{train.of_how_many} looked at{where}",
            "a split by class, a filter, or num_classes that counts too many",
            "dataset.split_seed=1, or mend the data set",
        )
    there = counts[counts > 0]
    if not none and len(there) > 1 and float(there.max()) > UNEQUAL * float(there.min()):
        yield warned(
            "classes of very unequal size",
            f"{int(there.min()):,} to {int(there.max()):,} examples",
            "accuracy then says little of the small ones",
        )
    for split in (splits.val, splits.test):
        if split is None or split.labels is None or none or split.total < 20 * classes:
            continue
        own = torch.bincount(split.labels, minlength=classes)
        lacking = [int(c) for c in (own == 0).nonzero()]
        if lacking and split.whole:
            what = f"class {first_few(map(str, lacking))} has no {split.name} example"
            yield warned(what, f"{split.of_how_many} looked at", "a split by class")


def _sorted(setup: Setup) -> Iterator[Finding]:
    indices = setup.feed.indices[:2000]
    _, found = pair(setup.examples(setup.feed.source, indices))
    if found is None or found.ndim != 1 or len(found) < 20 or len(found.unique()) < 2:
        return
    changes = float((found[1:] != found[:-1]).float().mean())
    by_chance = 1 - float((torch.bincount(found.cpu()).double() / len(found)).square().sum())
    if changes < 0.2 * by_chance:
        yield failed(
            "the classes come one after the other, and nothing shuffles them",
            f"the label changes at {changes:.1%} of the first {len(found):,} examples",
            "shuffle=none",
            "shuffle=epoch",
        )


def _disagreeing(train: Scan) -> Iterator[Finding]:
    """Look for equal inputs with different labels."""
    assert train.labels is not None
    order = train.hashes.argsort(stable=True)
    hashes, found = train.hashes[order], train.labels[order]
    same = hashes[1:] == hashes[:-1]
    apart = same & (found[1:] != found[:-1])
    count, part = int(apart.sum()), float(apart.float().mean()) if len(apart) else 0.0
    if count < 3 or part < 0.001:
        return
    tell = failed if part > 0.05 else warned
    yield tell(
        f"{count:,} examples are equal to another one of another class",
        f"of {train.of_how_many}; {int(same.sum()):,} equal another at all",
        "labels that are wrong, or inputs that say too little",
        "leave out one of each pair",
    )


def _telling(setup: Setup, splits: Splits) -> Iterator[Finding]:
    """Guess labels by neighbours: within the training set, and from it those of other sets."""
    train = splits.train
    assert train.kept is not None and train.kept_labels is not None
    inputs, found = train.kept, train.kept_labels
    if train.bad or not inputs.is_floating_point():
        return
    if len(inputs) < FEWEST or len(found.unique()) < 2:
        return
    asked = min(ASKED, len(inputs) // 3)
    own = learn(inputs[asked:], found[asked:], inputs[:asked], found[:asked])
    if own.deviations < SURE:
        witness = _by_the_model(setup, splits)
        if witness is None or witness < SURE:
            yield failed(
                "the labels say nothing of the inputs",
                f"neighbours and class means guess {own.accuracy:.1%} right, chance is "
                f"{own.chance:.1%} ({own.count} of {len(inputs):,} examples)",
                "shuffled labels: images and labels are read, sorted or split apart",
                "mend the pairing in the data set; checks=[overfit] shows what memory does",
                accuracy=own.accuracy,
            )
        return
    for split in (splits.val, splits.test):
        if split is not None and split.kept is not None and split.kept_labels is not None:
            yield from _another_order(own, inputs, found, split)


def _another_order(own: Learned, inputs: Tensor, found: Tensor, split: Scan) -> Iterator[Finding]:
    assert split.kept is not None and split.kept_labels is not None
    if len(split.kept) < 100 or split.kept.shape[1:] != inputs.shape[1:]:
        return
    right = split.kept_labels[:ASKED]
    other = learn(inputs, found, split.kept[:ASKED], right)
    gain, expected = other.accuracy - other.chance, own.accuracy - own.chance
    if gain > KEPT_OF * expected or expected < 0.1:
        return
    pairs = torch.stack([right, other.predicted])
    moved = [
        f"{c} as {int(pairs[1][right == c].mode().values)}"
        for c in map(int, right.unique())
        if int(pairs[1][right == c].mode().values) != c
    ]
    yield failed(
        f"the {split.name} set's labels do not fit the training set's",
        f"neighbours guess {other.accuracy:.1%} of them right, {own.accuracy:.1%} within training"
        + (f"; class {first_few(moved)}" if moved else ""),
        "another order of classes, or shuffled labels",
        "name classes in one order for all sets",
        accuracy=other.accuracy,
    )


def _by_the_model(setup: Setup, splits: Splits) -> float | None:
    """Return how many deviations above chance the model is after a short training."""
    from optbench.check.short import short_run

    held = setup.experiment.validation or setup.experiment.test
    if held is None or "accuracy" not in setup.task.metrics or len(setup.players) > 1:
        return None
    del splits
    with setup.put_back():
        short_run(setup.experiment, 400, seconds=0.05 * setup.seconds)
        return _accuracy_above_chance(setup, held.source, held.indices)


def _accuracy_above_chance(setup: Setup, source: Source, indices: Tensor) -> float:
    batch = setup.examples(source, indices[torch.randperm(len(indices))[:ASKED]])
    _, targets = pair(batch)
    state = setup.experiment.state
    with setup.looking(training=False), torch.no_grad(), state.precision.forward():
        right = float(state.task.score(setup.modules, batch)["accuracy"])
    assert targets is not None
    chance = float(torch.bincount(targets.cpu()).max()) / len(targets)
    spread = math.sqrt(max(chance * (1 - chance), 1e-9) / len(targets))
    return (right / len(targets) - chance) / spread
