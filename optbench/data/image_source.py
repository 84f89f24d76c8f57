"""Batches of images decoded by worker processes."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from optbench.data.image_decode import decode_image
from optbench.data.image_files import ImageFiles
from optbench.data.image_settings import Crop, Loading
from optbench.data.normalise import Normaliser
from optbench.errors import UserError

Batch = tuple[Tensor, Tensor]


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

    def __len__(self) -> int:
        """The number of examples."""
        return len(self._files.labels)

    def stream(
        self,
        indices: Tensor,
        bounds: Sequence[tuple[int, int]],
        augment_key: int | None = None,
    ) -> Iterator[Batch]:
        """See Source.stream. Raises UserError, which names the file, on a broken image."""
        key = augment_key if self._augmented else None
        batches = (indices[start:stop].tolist() for start, stop in bounds)
        workers = min(self._loading.workers, len(bounds), _cores())
        pinned = self._device.type == "cuda"
        loader = DataLoader(
            _Decoder(self._files, self._crop, key),
            batch_sampler=batches,
            num_workers=workers,
            prefetch_factor=self._loading.prefetch if workers else None,
            collate_fn=_as_decoded,
            pin_memory=pinned,
            worker_init_fn=_leave_signals,
            # Its own: the loader draws a seed, which must not move torch's global generator.
            generator=torch.Generator(),
        )
        for decoded in loader:
            if isinstance(decoded, UserError):
                raise decoded
            images, labels = (part.to(self._device, non_blocking=pinned) for part in decoded)
            yield self._normaliser(images), labels


class _Decoder(TorchDataset[Batch]):
    """What a worker holds."""

    def __init__(self, files: ImageFiles, crop: Crop, key: int | None) -> None:
        self._files = files
        self._crop = crop
        self._key = key

    def __getitems__(self, indices: list[int]) -> Batch | UserError:
        """uint8 [n, 3, size, size] and int64 [n].

        An error is returned: raised, it would reach the parent as a page of text, not one line.
        """
        try:
            images = [self._decode(index) for index in indices]
        except UserError as error:
            return error
        labels = torch.from_numpy(self._files.labels[indices])
        return torch.from_numpy(np.stack(images)), labels

    def _decode(self, index: int) -> npt.NDArray[np.uint8]:
        seeds = None if self._key is None else (self._key, index)
        return decode_image(self._files.path(index), self._crop, seeds)


def _cores() -> int:
    """How many this process may use; only Linux tells."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _as_decoded(batch: Any) -> Any:
    return batch


def _leave_signals(worker: int) -> None:
    """Workers end when they are told to; an interrupt is the training's to answer."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
