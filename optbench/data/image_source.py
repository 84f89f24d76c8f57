"""Batches of images decoded by worker processes."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from optbench.data.image_decode import Decoded, decode_image
from optbench.data.image_files import ImageFiles
from optbench.data.image_modes import Odd
from optbench.data.image_settings import Crop, Loading
from optbench.data.normalise import Normaliser
from optbench.data.workers import loader, unchanged
from optbench.errors import UserError

Batch = tuple[Tensor, Tensor]

SAID = {
    Odd.TRANSPARENT: "have transparent parts, which lie on grey level {background}"
    " (background of the data set)",
    Odd.BLANK: "are of one colour then, and differ in their transparency only: on"
    " a background of {other} they may show something",
    Odd.FRAMES: "have several frames or pages, of which the first is taken",
}

_log = logging.getLogger(__name__)


class ImageSource:
    """A Source of image files; workers live as long as one stream. The test split: augmented False.

    Batches travel as uint8 and are normalised on the device.
    """

    def __init__(
        self,
        files: ImageFiles,
        crop: Crop,
        loading: Loading,
        normaliser: Normaliser,
        device: torch.device,
        augmented: bool,
    ) -> None:
        self._files = files
        self._crop = crop
        self._loading = loading
        self._normaliser = normaliser
        self._device = device
        self._augmented = augmented
        self._said = False
        self._broken_off: Tally | None = None

    def __len__(self) -> int:
        """Return the number of examples."""
        return len(self._files.labels)

    def stream(
        self,
        indices: Tensor,
        bounds: Sequence[tuple[int, int]],
        augment_key: int | None = None,
    ) -> Iterator[Batch]:
        """See `Source.stream`.

        What is odd about images is warned of once, at the end of a first epoch (or of a test). One
        that is broken off counts too few; `end` tells of it if there is no other.

        Raises:
            UserError: an image, whose file it names, is broken.
        """
        key = augment_key if self._augmented else None
        whole = augment_key is not None or not self._augmented
        tally = Tally()
        try:
            for decoded in self._loader(indices, bounds, key):
                if isinstance(decoded, UserError):
                    raise decoded
                *tensors, odd = decoded
                tally.add(len(tensors[1]), odd)
                pinned = self._device.type == "cuda"
                images, labels = (part.to(self._device, non_blocking=pinned) for part in tensors)
                yield self._normaliser(images), labels
        except GeneratorExit:
            if whole and tally.batches < len(bounds):
                self._broken_off = max(tally, self._broken_off or tally, key=Tally.images)
                whole = False
            raise
        finally:
            if whole:
                self._say(tally)

    def end(self) -> None:
        """Warn of what was seen in what was broken off, if nothing was said yet."""
        if self._broken_off is not None:
            self._say(self._broken_off)

    def _say(self, tally: Tally) -> None:
        if not self._said:
            self._said = True
            for line in tally.lines(self._crop.background):
                _log.warning("%s: %s", self._files.folder, line)

    def _loader(
        self, indices: Tensor, bounds: Sequence[tuple[int, int]], key: int | None
    ) -> DataLoader[Any]:
        decoder, pinned = _Decoder(self._files, self._crop, key), self._device.type == "cuda"
        return loader(decoder, indices, bounds, self._loading, pinned, unchanged)


class Tally:
    """How many images were decoded, and how many of them are odd in which way."""

    def __init__(self) -> None:
        self.batches = self._seen = 0
        self._odd: Counter[Odd] = Counter()

    def add(self, seen: int, odd: Sequence[int]) -> None:
        """Count a batch of `seen` images; `odd` has the flags of those that have some."""
        self.batches += 1
        self._seen += seen
        for flags in odd:
            self._odd.update(Odd(flags))

    def images(self) -> int:
        """Return how many images there were."""
        return self._seen

    def lines(self, background: int) -> Iterator[str]:
        """Yield what there is to say."""
        for flag, count in sorted(self._odd.items(), key=lambda item: item[0].value):
            told = SAID[flag].format(background=background, other=0 if background > 127 else 255)
            yield f"{count} of {self._seen} images {told}"


class _Decoder(TorchDataset[Batch]):
    """What a worker holds."""

    def __init__(self, files: ImageFiles, crop: Crop, key: int | None) -> None:
        self._files = files
        self._crop = crop
        self._key = key

    def __getitems__(self, indices: list[int]) -> tuple[Tensor, Tensor, list[int]] | UserError:
        """Return uint8 [n, 3, size, size], int64 [n], and the flags of what is odd.

        An error is returned: raised, it would reach the parent as a page of text, not one line.
        """
        try:
            images = [self._decode(index) for index in indices]
        except UserError as error:
            return error
        labels = torch.from_numpy(self._files.labels[indices])
        pixels = torch.from_numpy(np.stack([image.pixels for image in images]))
        return pixels, labels, [image.odd.value for image in images if image.odd]

    def _decode(self, index: int) -> Decoded:
        seeds = None if self._key is None else (self._key, index)
        return decode_image(self._files.path(index), self._crop, seeds)
