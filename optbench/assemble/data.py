"""The data set of a config, and what can be wrong with it before a training starts. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from optbench.assemble.create import (
    arguments,
    called,
    kind_of,
    locate,
    own_target,
    parameters_of,
)
from optbench.assemble.own_data import is_own, own_items
from optbench.config.reserved import PATHS
from optbench.config.run_config import RunConfig
from optbench.data.cache import load_cached
from optbench.data.dataset import Dataset
from optbench.errors import UserError

OURS = ("task", "split_seed", "fold")
"""Keys of the dataset node that are not the data set's own."""
PROTOCOL = ("train_size", "test_size", "input_shape", "num_classes", "open")


def dataset(config: RunConfig) -> Dataset:
    """Load the data set; a second run in the same process finds it loaded.

    Raises:
        UserError: it is missing or damaged, or smaller than a batch.
    """
    node = {key: value for key, value in config.dataset.items() if key not in OURS}
    factory = own_target(node, "dataset")
    load = _load_own if is_own(node) else _load
    loaded: Dataset = called(partial(load, factory, node), factory, "dataset", "dataset")
    _check_protocol(loaded, str(config.dataset["_target_"]))
    train = Split.of(config, loaded).train
    if batch_size(config, loaded) > train:
        raise UserError(
            f"batch_size={config.batch_size}: larger than the training set of {train} examples; "
            f"the nearest that fits is {train}"
        )
    if config.accumulate > batch_size(config, loaded):
        raise UserError(
            f"accumulate={config.accumulate}: more micro-batches than the"
            f" {batch_size(config, loaded)} examples of a step"
        )
    return loaded


def _load(factory: Any, node: Mapping[str, Any]) -> Dataset:
    """Load the data set of a file of the group."""
    given = arguments(node, "dataset")
    if "val_fraction" not in parameters_of(factory):
        given.pop("val_fraction")
    return load_cached(factory, **given)


def _load_own(target: Any, node: Mapping[str, Any]) -> Dataset:
    """Load the data set of `dataset=custom`, remembered by the class and its plain arguments."""
    plain = {k: v for k, v in node.items() if k not in ("_target_", "val_fraction")}
    return load_cached(own_items, target=target, **plain)


def _check_protocol(loaded: Any, target: str) -> None:
    """Raise UserError for what is no data set as `data/dataset.py` describes one."""
    lacks = [name for name in PROTOCOL if not hasattr(loaded, name)]
    if lacks:
        raise UserError(
            f"dataset._target_={target}: gives {kind_of(loaded)}, which has no {', '.join(lacks)}; "
            + (
                "a torch.utils.data.Dataset goes with dataset=custom"
                if hasattr(loaded, "__getitem__")
                else "optbench.data.dataset.Dataset says what a data set needs"
            )
        )
    for name in ("train_size", "test_size", "num_classes"):
        size = getattr(loaded, name)
        if not isinstance(size, int) or size < (name == "train_size"):
            raise UserError(f"dataset._target_={target}: its {name} is {size!r}, not a number")


@dataclass(frozen=True)
class Fold:
    """One of the parts of k-fold cross-validation; `number` from 0."""

    number: int
    count: int

    @classmethod
    def of(cls, config: RunConfig) -> Fold | None:
        """Return what `dataset.fold` says, such as `2/5`; None if it says nothing."""
        said = config.dataset.get("fold")  # runs that are older have none
        if said is None:
            return None
        number, _, count = str(said).partition("/")
        return cls(int(number) - 1, int(count))

    def part_of(self, size: int) -> int:
        """Return how many of so many examples are in it."""
        start, stop = size * self.number // self.count, size * (self.number + 1) // self.count
        return stop - start


@dataclass(frozen=True)
class Split:
    """How many examples are trained on, how many validate.

    Attributes:
        own: whether the validation set is the data set's own, not split off the training set.
    """

    train: int
    validation: int
    own: bool

    @classmethod
    def of(cls, config: RunConfig, dataset: Dataset) -> Split:
        """Return the split of a run.

        Raises:
            UserError: a fraction that leaves nothing, or that a data set with its own split has no
                use for.
        """
        fraction, size = config.dataset["val_fraction"], dataset.train_size
        own, fold = getattr(dataset, "val_size", None), Fold.of(config)
        if fold is not None:
            return cls._of_fold(fold, size, own is not None)
        if own is not None and is_own(config.dataset):
            return cls(size, own, True)
        if own is not None:
            target = locate(str(config.dataset["_target_"]), "dataset._target_")
            if fraction is not None and "val_fraction" not in parameters_of(target):
                raise UserError(
                    f"dataset.val_fraction={fraction}: it has a validation set of its own; "
                    "leave it at null"
                )
            return cls(size, own, True)
        if fraction is None:
            raise UserError("dataset.val_fraction=null: it has no validation set of its own")
        validation = round(size * fraction)
        if (fraction and not validation) or validation == size:
            what = "leaves no example to train on" if validation else "is less than one example"
            mend = "0.5 leaves some" if validation else f"{1 / size:.2g} is one, 0 none"
            hint = f"; dataset.val_fraction={mend if size > 1 else '0 is none'}"
            raise UserError(f"dataset.val_fraction={fraction}: of {size} this {what}{hint}")
        return cls(size - validation, validation, False)

    @classmethod
    def _of_fold(cls, fold: Fold, size: int, own: bool) -> Split:
        said = f"dataset.fold={fold.number + 1}/{fold.count}"
        if own:
            raise UserError(f"{said}: the data set has a validation set of its own")
        if fold.count > size:
            raise UserError(f"{said}: there are {size} examples")
        part = fold.part_of(size)
        return cls(size - part, part, False)


def batch_size(config: RunConfig, dataset: Dataset) -> int:
    """Return how many examples a step has; `full` is all that are trained on."""
    if isinstance(config.batch_size, int):
        return config.batch_size
    return Split.of(config, dataset).train


def notes_on(dataset: Dataset) -> tuple[str, ...]:
    """Return what the data set says to whoever trains on it."""
    return tuple(getattr(dataset, "notes", ()))


def described(dataset: Dataset) -> dict[str, Any]:
    """Return what tells a data set from another, as plain data, fingerprint included if any."""
    known = {
        "train_size": dataset.train_size,
        "val_size": getattr(dataset, "val_size", None),
        "test_size": dataset.test_size,
        "input_shape": list(dataset.input_shape),
        "num_classes": dataset.num_classes,
        "fingerprint": getattr(dataset, "fingerprint", None),
    }
    return {key: value for key, value in known.items() if value is not None}


def check_same_data(config: RunConfig, then: Any, dataset: Dataset) -> None:
    """Compare a data set with what `described` gave when a run began.

    Raises:
        UserError: it is another one, whose examples a resumed run would count wrongly.
    """
    now = described(dataset)
    if not isinstance(then, Mapping):  # a run from before this was written down
        return
    for what, value in then.items():
        if what in now and now[what] != value:
            key = next((key for key in PATHS if key in config.dataset), None)
            told = f"dataset.{key}={config.dataset[key]}" if key else "dataset"
            content = "the sizes are right, the content is another"
            why = content if what == "fingerprint" else f"its {what} is {now[what]}, it was {value}"
            raise UserError(f"{told}: not the data that the run began with ({why})")


def known_sizes(dataset: Dataset) -> dict[str, Any]:
    """Return what models and tasks may want to know of a data set."""
    known = {"input_shape": dataset.input_shape, "num_classes": dataset.num_classes}
    return {**known, "vocabulary": getattr(dataset, "vocabulary", None)}


def wanted(target: Any, known: dict[str, Any]) -> dict[str, Any]:
    """Return what a signature asks for by name, of what is known of a data set.

    Raises:
        UserError: it has to know the number of classes, and nothing tells.
    """
    parameters = parameters_of(target)
    found = {key: value for key, value in known.items() if key in parameters}
    if found.get("num_classes") == 0:
        if parameters["num_classes"].default is parameters["num_classes"].empty:
            name = getattr(target, "__name__", "the model")
            raise UserError(
                f"dataset.num_classes=null: how many? {name} has to know, and the data set has no"
                " num_classes, classes or targets that tell"
            )
        del found["num_classes"]
    return found
