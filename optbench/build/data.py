"""The data set of a config, and what can be wrong with it before a training starts. No torch."""

from __future__ import annotations

import inspect
from typing import Any

from optbench.build.create import arguments, call, locate
from optbench.config.schema import RunConfig
from optbench.data.cache import load_cached
from optbench.data.dataset import Dataset
from optbench.errors import UserError

OURS = ("task", "val_fraction", "split_seed")
"""Keys of the dataset node that are not the data set's own."""


def dataset(config: RunConfig) -> Dataset:
    """Loads the data set; a second run in the same process finds it loaded.

    Raises:
        UserError: it is missing or damaged, or smaller than a batch.
    """
    node = {key: value for key, value in config.dataset.items() if key not in OURS}
    factory = locate(str(node["_target_"]), "dataset._target_")
    loaded: Dataset = call(_cached, "dataset", factory, arguments(node))
    fraction = config.dataset["val_fraction"]
    validation = round(loaded.train_size * fraction)
    train = loaded.train_size - validation
    if (fraction and not validation) or not train:
        what = "leaves no example to train on" if validation else "is less than one example"
        raise UserError(f"dataset.val_fraction={fraction}: of {loaded.train_size} this {what}")
    if batch_size(config, loaded) > train:
        raise UserError(
            f"batch_size={config.batch_size}: larger than the training set of {train} examples; "
            f"the nearest that fits is {train}"
        )
    return loaded


def batch_size(config: RunConfig, dataset: Dataset) -> int:
    """Examples in a step; `full` is all that are trained on."""
    if isinstance(config.batch_size, int):
        return config.batch_size
    return dataset.train_size - round(dataset.train_size * config.dataset["val_fraction"])


def _cached(factory: Any, given: dict[str, Any]) -> Dataset:
    return load_cached(factory, **given)


def sizes(target: Any, dataset: Dataset) -> dict[str, Any]:
    """Input and output sizes for a model, as far as its signature asks for them."""
    known = {"input_shape": dataset.input_shape, "num_classes": dataset.num_classes}
    wanted = inspect.signature(target).parameters
    return {key: value for key, value in known.items() if key in wanted}
