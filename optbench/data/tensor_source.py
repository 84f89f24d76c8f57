"""Batches cut from tensors which live on the device."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from optbench.data.augment import Augmentation
from optbench.data.huge_pages import room
from optbench.data.normalise import Normaliser

NORMALISED_LIMIT = 1 << 30  # bytes of float32 images; above it they are normalised batch by batch


class TensorSource:
    """A Source of images [N, C, H, W] (uint8 or float32) and labels int64 [N], on one device.

    normaliser None means that the images are float32 and ready. Without augmentation, images of at
    most `normalised_limit` bytes as float32 (default 1 GiB) are normalised once, here; otherwise
    each batch is gathered, augmented, then normalised. Both ways give the same bits.
    """

    def __init__(
        self,
        images: Tensor,
        labels: Tensor,
        normaliser: Normaliser | None,
        augmentation: Augmentation | None = None,
        normalised_limit: int = NORMALISED_LIMIT,
    ) -> None:
        if images.numel() * 4 <= normalised_limit:
            place = room(images.shape, images.device)
            if normaliser and not augmentation:
                images, normaliser = normaliser(images, place), None
            elif place is not None and images.dtype == torch.float32:
                images = place.copy_(images)
        self._images = images
        self._labels = labels
        self._normaliser = normaliser
        self._augmentation = augmentation
        self.augments = augmentation is not None

    def __len__(self) -> int:
        """Return the number of examples."""
        return len(self._labels)

    def stream(
        self,
        indices: Tensor,
        bounds: Sequence[tuple[int, int]],
        augment_key: int | None = None,
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """See `Source.stream`."""
        # One transfer for all batches; index_select on a slice of it is the whole hot path.
        order = indices.to(self._images.device)
        if augment_key is not None and self._augmentation is not None:
            yield from self._augmented(order, bounds, self._augmentation, augment_key)
            return
        images, labels, normaliser = self._images, self._labels, self._normaliser
        for start, stop in bounds:
            picked = order[start:stop]
            batch = images.index_select(0, picked)
            yield normaliser(batch) if normaliser else batch, labels.index_select(0, picked)

    def _augmented(
        self,
        order: Tensor,
        bounds: Sequence[tuple[int, int]],
        augmentation: Augmentation,
        key: int,
    ) -> Iterator[tuple[Tensor, Tensor]]:
        draws = augmentation.draw(key, order)
        normaliser = self._normaliser
        for start, stop in bounds:
            picked = order[start:stop]
            batch = augmentation.apply(self._images.index_select(0, picked), draws[start:stop])
            yield normaliser(batch) if normaliser else batch, self._labels.index_select(0, picked)
