"""Batches of a map-style data set's examples."""

from __future__ import annotations

import pickle
import traceback
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset
from torch.utils.data import default_collate

from optbench.data.global_draws import borrowed, seed
from optbench.data.image_settings import Loading
from optbench.data.workers import loader, unchanged
from optbench.errors import UserError

_DRAWS = 3
"""Tells the draws of examples from others that follow from the same seed."""


class ItemSource:
    """A Source of the examples `items[i]`, put together by torch's `default_collate`.

    What an example draws from the global generators of Python, NumPy and torch's CPU is a pure
    function of (augment_key, example number), whatever the batch or the process; without a key it
    is the same each time. So a resumed run sees what an uninterrupted one does.

    Args:
        items: has `__len__` and `__getitem__`.
        loading: workers, and how far they are ahead.
        device: where batches go.
    """

    def __init__(self, items: Any, loading: Loading, device: torch.device) -> None:
        self._items, self._loading, self._device = items, loading, device

    def __len__(self) -> int:
        """Return the number of examples."""
        return len(self._items)

    def alone(self) -> ItemSource:
        """Return the same source without workers."""
        return ItemSource(self._items, Loading(0, 1), self._device)

    def stream(
        self,
        indices: Tensor,
        bounds: Sequence[tuple[int, int]],
        augment_key: int | None = None,
    ) -> Iterator[Any]:
        """See `Source.stream`; a batch has the structure of an example.

        Raises:
            UserError: examples that can't be put into one batch.
        """
        pick, pinned = _Picker(self._items, augment_key or 0), self._device.type == "cuda"
        alone = self._loading.workers == 0 or len(bounds) == 1
        batches: Any = (
            (pick(indices[start:stop].tolist()) for start, stop in bounds)
            if alone
            else loader(pick, indices, bounds, self._loading, pinned, unchanged)
        )
        for batch in batches:
            if isinstance(batch, Exception):
                raise batch
            yield moved(batch, self._device)


class _Picker(TorchDataset[Any]):
    """What a worker holds."""

    def __init__(self, items: Any, key: int) -> None:
        self._items, self._key, self._draw = items, key, False

    def __getitems__(self, indices: list[int]) -> Any:
        """Return a batch for another process, or the error.

        Raised, it would come as a page of text.
        """
        try:
            return self(indices)
        except Exception as error:  # whatever code of the user's own raises
            return _sendable(error)

    def __call__(self, indices: list[int]) -> Any:
        """Return a batch of the examples with these numbers."""
        with borrowed() as drawn:
            examples = [] if self._draw else [self._items[index] for index in indices]
            if self._draw or drawn():  # seeding all three is dear where nothing is drawn
                self._draw, examples = True, []
                for index in indices:
                    seed(_DRAWS, self._key, index)
                    examples.append(self._items[index])
        try:
            return default_collate(examples)
        except (RuntimeError, TypeError, ValueError, KeyError, AttributeError) as error:
            why = " ".join(str(error).split()).rstrip(".") or type(error).__name__
            numbers = ", ".join(map(str, indices[:3])) + (", ..." if len(indices) > 3 else "")
            name = type(self._items).__name__
            said = f"dataset: examples {numbers} of {name} do not make a batch: {why}"
            raise UserError(said) from error


def _sendable(error: Exception) -> Exception:
    """Return an error as another process can have it, with its traceback as a note."""
    text = "".join(traceback.format_exception(error)).rstrip()
    try:
        sent: Exception = pickle.loads(pickle.dumps(error))
    except Exception:  # its class wants other arguments than it keeps, say
        sent = RuntimeError(f"{type(error).__name__}: {error}")
    if not isinstance(sent, UserError):
        sent.add_note(f"In a worker of the data set:\n{text}")
    return sent


def moved(batch: Any, device: torch.device) -> Any:
    """Put tensors in tuples, lists and mappings on the device; leave anything else as it is."""
    if isinstance(batch, Tensor):
        return batch.to(device, non_blocking=device.type == "cuda" and batch.is_pinned())
    if isinstance(batch, Mapping):
        return {key: moved(value, device) for key, value in batch.items()}
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(moved(value, device) for value in batch))
    if isinstance(batch, list | tuple):
        return type(batch)(moved(value, device) for value in batch)
    return batch
