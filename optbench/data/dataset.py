"""What every data set offers: sizes, and batch streams on a device."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Split = Literal["train", "val", "test"]


class Source(Protocol):
    """One split of a data set, opened on one device.

    One that has something to say of what was streamed has a method `end()`, which is called when a
    run has ended. One that heeds no `augment_key`, so that several runs' batches can be picked in
    one call, says so by an attribute `augments`, false.
    """

    def __len__(self) -> int:
        """Return the number of examples."""
        ...

    def stream(
        self,
        indices: Tensor,
        bounds: Sequence[tuple[int, int]],
        augment_key: int | None = None,
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield one batch for each (start, stop) of bounds, in order: examples indices[start:stop].

        indices is an int64 CPU tensor of example numbers in [0, len(self)), such as an epoch's
        order; each start < stop. A batch is (inputs, targets): float32 [n, C, H, W], normalised,
        and int64 [n], both on the source's device.

        With augment_key None (the default) nothing is augmented. Otherwise the draws are a pure
        function of (augment_key, example number): neither the batch, nor the position in it, nor
        the process matters. Only the train split is ever augmented; the test split ignores the key.

        Tensors may be shared between calls: read them, never write them.
        """
        ...


def end_all(sources: Iterable[Source]) -> None:
    """Tell each source once that the run has ended."""
    for source in {id(source): source for source in sources}.values():
        if hasattr(source, "end"):
            source.end()


class Dataset(Protocol):
    """A loaded data set. input_shape is (C, H, W) of images; the sizes count examples.

    A data set without a test set has test_size 0. One with a validation set of its own has a
    val_size (0 for none this time) and opens "val"; else one is split off the training set. One of
    tokens has a `vocabulary`, a list of texts; where each example goes on where the one before it
    ends, `consecutive` is true. `notes` are lines for whoever trains on it, such as what files were
    left out. Of data in files, a `fingerprint` tells one set from another.
    """

    input_shape: tuple[int, ...]
    num_classes: int
    train_size: int
    test_size: int

    def open(self, split: Split, device: torch.device) -> Source:
        """Return the split on the device; a second call with the same arguments costs nothing."""
        ...
