"""Map-style data sets of torch as a data set of a run."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sized
from functools import cached_property
from typing import TYPE_CHECKING, Any

from optbench.data.cache import SourceMemo
from optbench.data.image_settings import Loading

if TYPE_CHECKING:
    import torch

    from optbench.data.dataset import Split
    from optbench.data.item_source import ItemSource

LOOKED_AT = 8
"""Examples that tell one data set from another."""


class Items:
    """A Dataset of map-style ones, each with `__len__` and `__getitem__`.

    An example is what `default_collate` makes batches of: tensors, arrays, numbers and texts, in
    tuples and mappings. `input_shape` is that of the first part of a tuple, () where there is none.

    Args:
        splits: by `train`, `val` and `test`, of which the first is there.
        loading: see `Loading`.
        num_classes: None: as the data set tells, 0 where it does not.
    """

    def __init__(
        self, splits: Mapping[Split, Any], loading: Loading, num_classes: int | None = None
    ) -> None:
        from optbench.data.global_draws import borrowed

        self._splits, self._loading = dict(splits), loading
        train = self._splits["train"]
        with borrowed():
            example = train[0]
        parts = example if isinstance(example, tuple | list) else [example]
        self.input_shape: tuple[int, ...] = tuple(getattr(parts[0], "shape", ()))
        target = parts[1] if len(parts) > 1 else None
        self.num_classes = _classes(train, target) if num_classes is None else num_classes
        self.train_size = len(train)
        self.val_size = len(self._splits["val"]) if "val" in self._splits else None
        self.test_size = len(self._splits["test"]) if "test" in self._splits else 0
        self._sources: SourceMemo[ItemSource] = SourceMemo()

    @cached_property
    def fingerprint(self) -> str:
        """See `Dataset`: of a few examples, evenly spaced."""
        import torch

        found = hashlib.sha256()
        last = self.train_size - 1
        numbers = sorted({last * part // (LOOKED_AT - 1) for part in range(LOOKED_AT)})
        source = self.open("train", torch.device("cpu"))
        bounds = [(part, part + 1) for part in range(len(numbers))]
        for batch in source.alone().stream(torch.tensor(numbers), bounds):
            _digest(batch, found)
        return found.hexdigest()[:32]

    def open(self, split: Split, device: torch.device) -> ItemSource:
        """Return the split on the device, made at the first call and kept."""
        from optbench.data.item_source import ItemSource

        items = self._splits[split]
        return self._sources.get(split, device, lambda: ItemSource(items, self._loading, device))


def lacking(items: Any) -> str | None:
    """Return what keeps an object from being a map-style data set, None if nothing does."""
    from torch.utils.data import Dataset

    if isinstance(items, str | bytes | Mapping):
        return "has no examples by number"
    for name in ("__len__", "__getitem__"):
        method = getattr(type(items), name, None)
        if method is None or method is getattr(Dataset, name, None):
            return f"has no {name}"
    length = len(items)
    return None if length else "has no examples"


def _classes(items: Any, target: Any) -> int:
    """Return how many classes there are, or numbers to be predicted; 0 where nothing tells."""
    own = getattr(items, "num_classes", None)
    if type(own) is int and own > 0:
        return own
    names = getattr(items, "classes", None)
    if isinstance(names, Sized) and not isinstance(names, str) and len(names):
        return len(names)
    if isinstance(target, float):
        return 1
    kind = str(getattr(target, "dtype", ""))
    if "float" in kind:
        return int(target.shape[-1]) if target.shape else 1
    return _highest(items) + 1


def _highest(items: Any) -> int:
    """Return the highest label of a data set that keeps all in one place, -1 if not known."""
    tensors = getattr(items, "tensors", ())
    own = [tensors[-1]] if isinstance(tensors, tuple) and len(tensors) > 1 else []
    found = [*own, getattr(items, "targets", None), getattr(items, "labels", None)]
    for labels in found:
        try:
            highest = max(labels.tolist() if hasattr(labels, "tolist") else labels)
        except (TypeError, ValueError):
            continue
        if type(highest) is int and highest >= 0:
            return highest
    return -1


def _digest(value: Any, found: Any) -> None:
    if isinstance(value, Mapping):
        value = [part for pair in value.items() for part in pair]
    if isinstance(value, list | tuple):
        for part in value:
            _digest(part, found)
        return
    if hasattr(value, "untyped_storage"):
        import torch

        found.update(f"{value.dtype}{list(value.shape)}".encode())
        value = value.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    found.update(value if isinstance(value, bytes) else repr(value).encode())
