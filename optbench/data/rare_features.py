"""Made-up examples of features that are on or off, most of them rarely: like words of texts."""

from __future__ import annotations

import numpy as np

from optbench.data.arrays import ArrayDataset, Examples
from optbench.errors import Argument, ArgumentError

SPLITS = {"train": 0, "test": 1}
TEACHER = 2


def rare_features(
    features: int = 200,
    power: float = 1.0,
    num_classes: int = 10,
    train_size: int = 2000,
    test_size: int = 1000,
    data_seed: int = 0,
) -> ArrayDataset:
    """Return a Dataset of images [1, 1, features] of zeros and ones.

    Feature i is on in a part 1/2 i^-power of the examples, as words are by Zipf's law where power
    is 1; with 0 all are on in half of them. The class is the highest of num_classes linear
    functions, in which each feature counts as much as it is rare: weights are N(0, 1 / p(1 - p)).

    Args:
        features: at least 1.
        power: at least 0.
        num_classes: at least 2.
        train_size, test_size: at least 1.
        data_seed: of the linear functions and of all examples, at least 0.

    Raises:
        ArgumentError: an argument out of range.
    """
    least = {"features": 1, "num_classes": 2, "train_size": 1, "test_size": 1, "data_seed": 0}
    given = {"features": features, "num_classes": num_classes, "train_size": train_size}
    given |= {"test_size": test_size, "data_seed": data_seed}
    for name, value in given.items():
        if value < least[name]:
            what = f" must be at least {least[name]}"
            raise ArgumentError("rare_features: ", Argument(name, value), what)
    if not 0 <= power < float("inf"):
        raise ArgumentError("rare_features: ", Argument("power", power), " must not be negative")
    often = 0.5 * np.arange(1, features + 1, dtype=np.float64) ** -power
    weights = np.random.default_rng([data_seed, TEACHER]).normal(size=(features, num_classes))
    weights /= np.sqrt(often * (1 - often))[:, None]
    made = {}
    for split, size in (("train", train_size), ("test", test_size)):
        random = np.random.default_rng([data_seed, SPLITS[split]])
        on = (random.random((size, features)) < often).astype(np.float32)
        labels = ((on - often) @ weights).argmax(1)
        made[split] = Examples(on[:, None, None, :], labels)
    train, test = made["train"], made["test"]
    return ArrayDataset("rare_features", train, test, num_classes, [0.0], [1.0])
