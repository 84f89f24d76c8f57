"""What augmentation makes of examples: their labels, and whether they look like another class."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from optbench.check.base import Finding, failed
from optbench.check.neighbours import nearest
from optbench.check.setup import Setup
from optbench.check.structure import pair

if TYPE_CHECKING:
    from optbench.check.data import Splits

ASKED = 600
"""Examples that are augmented."""
KEYS = (1, 2, 3)
CHANGED = 0.12
"""Of a class' augmented examples that look like one other class, above which it is changed.
Crops and flips of digits and clothes stay below 0.05, a 6 that is turned half the time has 0.37."""
CLOSER = 0.7
"""Of the distance to its own class, for an example to look like another one."""
FEWEST = 20
"""Examples of a class."""


def augmentation(setup: Setup, splits: Splits) -> Iterator[Finding]:
    """Yield what is wrong with augmented examples."""
    feed = setup.feed
    chosen = feed.indices[
        torch.linspace(0, len(feed.indices) - 1, ASKED, dtype=torch.float64).long().unique()
    ]
    plain, labels = pair(setup.examples(feed.source, chosen))
    changed = [pair(setup.examples(feed.source, chosen, key)) for key in KEYS]
    if plain is None or labels is None or labels.ndim != 1 or labels.is_floating_point():
        return
    unlike = [t for _, t in changed if t is not None and not torch.equal(t, labels)]
    if unlike:
        part = float((unlike[0] != labels).float().mean())
        yield failed(
            f"augmentation changes the label of {part:.1%} of the examples",
            f"{len(chosen)} examples with and without it",
            "labels that are drawn, or that follow the augmented input",
            "the label as it was",
        )
        return
    images = [i for i, _ in changed if i is not None]
    if not plain.is_floating_point() or all(torch.equal(i, images[0]) for i in images):
        return
    yield from _turned(setup, splits, images, labels.cpu())


def _turned(
    setup: Setup, splits: Splits, images: list[Tensor], labels: Tensor
) -> Iterator[Finding]:
    """Look for classes whose augmented examples lie among another one's.

    They are held against a set that is not augmented: a data set may augment in itself.
    """
    beside = splits.test or splits.val or splits.train
    known, right = beside.kept, beside.kept_labels
    if known is None or right is None or known.shape[1:] != images[0].shape[1:]:
        return
    before = _looks_like(known, right, known[:ASKED], right[:ASKED])
    after = sum(
        (_looks_like(known, right, each.cpu(), labels) for each in images),
        start=torch.zeros_like(before),
    ) / len(images)
    sizes = torch.bincount(labels, minlength=len(before))[: len(before)]
    more = (after - before) * (sizes >= FEWEST)[:, None]
    own, other = divmod(int(more.argmax()), more.shape[1])
    if float(more.max()) <= CHANGED:
        return
    on = _switched_on(setup)
    yield failed(
        f"augmentation makes class {own} look like class {other}",
        f"{float(after[own, other]):.0%} of its augmented examples lie far nearer to class "
        f"{other} of the {beside.name} set, {float(before[own, other]):.0%} of those as they are",
        "an augmentation that changes the label, as turning 6 into 9",
        on or "leave that augmentation out of the data set",
        changed=float(more.max()),
    )


def _looks_like(kept: Tensor, kept_labels: Tensor, asked: Tensor, labels: Tensor) -> Tensor:
    """Return by class, and other class, the part of examples that lie clearly nearer to it."""
    classes = int(kept_labels.max()) + 1
    inside = labels < classes
    asked, labels = asked[inside], labels[inside]
    train, query = kept.flatten(1).float(), asked.flatten(1).float()
    away = torch.full((len(query), classes), float("inf"))
    for c in range(classes):
        own = train[kept_labels == c]
        if len(own) > 1:
            # The nearest may be the example itself: the second is of another one.
            away[:, c] = nearest(own, query, 2)[0][:, 1]
    mine = away.gather(1, labels[:, None])[:, 0]
    away.scatter_(1, labels[:, None], float("inf"))
    least, which = away.min(1)
    turned = least < CLOSER * mine
    found = torch.zeros(classes, classes)
    for c in range(classes):
        of_class = labels == c
        if bool(of_class.any()):
            counts = torch.bincount(which[of_class & turned], minlength=classes).float()
            found[c] = counts / int(of_class.sum())
    return found


def _switched_on(setup: Setup) -> str:
    node: Any = setup.config.dataset
    parts = [
        f"dataset.{key}={off}" for key, off in (("flip", "false"), ("crop", "0")) if node.get(key)
    ]
    return " ".join(parts)


def draw(setup: Setup) -> None:
    """Draw a grid: a row for each of some images, as it is and augmented."""
    from optbench.check.pictures import save_grid

    feed = setup.feed
    chosen = feed.indices[torch.linspace(0, len(feed.indices) - 1, 8, dtype=torch.float64).long()]
    plain, labels = pair(setup.examples(feed.source, chosen))
    if plain is None or plain.ndim != 4 or plain.shape[1] not in (1, 3):
        return
    drawn = [pair(setup.examples(feed.source, chosen, key))[0] for key in range(1, 8)]
    rows = torch.stack([plain, *[each for each in drawn if each is not None]], dim=1)
    assert setup.out is not None
    said = [str(int(t)) for t in labels] if labels is not None and labels.ndim == 1 else None
    save_grid(setup.out / "augmented.png", rows.cpu(), said)
