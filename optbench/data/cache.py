"""Memory of what was loaded, so that many runs in one process load it once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

if TYPE_CHECKING:
    import torch

    from optbench.data.dataset import Dataset, Split

T = TypeVar("T")

KEPT = 4
_loaded: OrderedDict[Hashable, Dataset] = OrderedDict()


def load_cached(factory: Callable[..., Dataset], **kwargs: Any) -> Dataset:
    """Return factory(**kwargs), remembered: the last KEPT (4) data sets of this process are kept.

    kwargs may nest lists and mappings (plain or OmegaConf's); equal arguments give the same
    object, even when the files changed in between. A load which raises is not remembered.
    """
    key = (factory, _hashable(kwargs))
    if key not in _loaded:
        _loaded[key] = factory(**kwargs)
    _loaded.move_to_end(key)
    while len(_loaded) > KEPT:
        _loaded.popitem(last=False)
    return _loaded[key]


def _hashable(value: Any) -> Hashable:
    if isinstance(value, Mapping):
        return frozenset((name, _hashable(item)) for name, item in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return tuple(_hashable(item) for item in value)
    return cast(Hashable, value)


class SourceMemo(Generic[T]):
    """The sources a data set has opened, one for each (split, device)."""

    def __init__(self) -> None:
        self._opened: dict[Hashable, T] = {}

    def get(self, split: Split, device: torch.device, make: Callable[[], T]) -> T:
        """Return the source of (split, device), made by `make` the first time."""
        import torch

        # "cuda" and "cuda:0" may be one device: an empty tensor knows.
        key = (split, torch.empty(0, device=device).device)
        if key not in self._opened:
            self._opened[key] = make()
        return self._opened[key]
