"""Examples as they are read, and the first of them that can't be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from torch import Tensor

from optbench.check.base import FAIL, Finding
from optbench.data.dataset import Source
from optbench.errors import UserError, memory_wanting


class Unreadable(Exception):
    """An example can't be read, or some do not make a batch.

    Attributes:
        finding: what there is to say of it.
    """

    def __init__(self, what: str, error: Exception) -> None:
        said = " ".join(str(error).split())[:300]
        if not isinstance(error, UserError):
            said = f"{type(error).__name__}: {said}" if said else type(error).__name__
        super().__init__(f"{what}: {said}")
        cause = "the data set's own code, or a file of it that is damaged"
        self.finding = Finding(FAIL, str(self), cause=cause)


def batches(
    name: str, source: Source, indices: Tensor, bounds: Sequence[tuple[int, int]]
) -> Iterator[Any]:
    """Yield the batches of a split, without augmentation.

    Args:
        name: of the split.
        source: of its examples.
        indices: their numbers in the data set, [n].
        bounds: from where to where in `indices` each batch goes.

    Raises:
        Unreadable: the data set fails; it names the first example that does, in this order.
    """
    stream, done = source.stream(indices, bounds), 0
    while True:
        try:
            batch = next(stream, None)
        except Exception as error:  # whatever code of the user's own raises
            if memory_wanting(error) is not None:
                raise
            low, high = bounds[min(done, len(bounds) - 1)]
            raise _first(name, source, indices[low:high], error) from error
        if batch is None:
            return
        done += 1
        yield batch


def _first(name: str, source: Source, indices: Tensor, error: Exception) -> Unreadable:
    """Return which example of a batch can't be read alone; else what is said of them together."""
    for index in indices.tolist():
        alone = indices.new_tensor([index])
        try:
            for _ in source.stream(alone, [(0, 1)]):
                pass
        except Exception as own:
            return Unreadable(f"example {index} of {name} can't be read", own)
    return Unreadable(f"examples of {name} can't be read", error)
