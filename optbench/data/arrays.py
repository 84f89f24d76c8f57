"""Data sets which fit in memory, as numpy arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from optbench.data.cache import SourceMemo
from optbench.data.fingerprint import fingerprint
from optbench.data.image_checks import check_crop, check_statistics
from optbench.errors import ArgumentError

if TYPE_CHECKING:
    import numpy.typing as npt
    import torch

    from optbench.data.dataset import Split
    from optbench.data.tensor_source import TensorSource


@dataclass(frozen=True)
class Examples:
    """images [N, C, H, W], uint8 (0..255) or float32 (any scale), and integer labels [N]."""

    images: npt.NDArray[Any]
    labels: npt.NDArray[Any]


class ArrayDataset:
    """A Dataset of arrays; `open` puts them on the device.

    Inputs are (x - mean) / std with one mean and std a channel, where uint8 images are divided by
    255 first. Training images are padded by `crop` pixels (default 0: none) and cropped back at
    random, and flipped left-right at random if `flip` (default False), when streamed with an
    augment_key. `notes` are for whoever trains on it. Raises ArgumentError, which begins with
    `name`, on data or settings that do not fit.
    """

    def __init__(
        self,
        name: str,
        train: Examples,
        test: Examples,
        num_classes: int,
        mean: Sequence[float],
        std: Sequence[float],
        crop: int = 0,
        flip: bool = False,
        notes: Sequence[str] = (),
    ) -> None:
        self.notes = tuple(notes)
        self.input_shape: tuple[int, ...] = train.images.shape[1:]
        self.num_classes = num_classes
        self.train_size = len(train.labels)
        self.test_size = len(test.labels)
        self._splits = {"train": train, "test": test}
        self._mean, self._std = tuple(mean), tuple(std)
        self._crop, self._flip = crop, flip
        self._sources: SourceMemo[TensorSource] = SourceMemo()
        for split, examples in self._splits.items():
            _check_examples(f"{name} {split}", examples, self.input_shape, num_classes)
        check_statistics(name, self.input_shape[0], self._mean, self._std)
        check_crop(name, crop)

    @cached_property
    def fingerprint(self) -> str:
        """See `Dataset`."""
        parts = (self._splits["train"], self._splits["test"])
        return fingerprint(*(array for part in parts for array in (part.labels, part.images)))

    def open(self, split: Split, device: torch.device) -> TensorSource:
        """Return the split on the device, made at the first call and kept."""
        return self._sources.get(split, device, lambda: self._make_source(split, device))

    def _make_source(self, split: Split, device: torch.device) -> TensorSource:
        import torch

        from optbench.data.augment import Augmentation
        from optbench.data.normalise import Normaliser
        from optbench.data.tensor_source import TensorSource

        examples = self._splits[split]
        augmented = split == "train" and (self._crop > 0 or self._flip)
        return TensorSource(
            torch.from_numpy(examples.images).to(device),
            torch.from_numpy(examples.labels).to(device, torch.int64),
            Normaliser(self._mean, self._std, device),
            Augmentation(self._crop, self._flip) if augmented else None,
        )


def _check_examples(
    name: str, examples: Examples, shape: tuple[int, ...], num_classes: int
) -> None:
    images, labels = examples.images, examples.labels
    if images.dtype.name not in ("uint8", "float32"):
        raise ArgumentError(f"{name}: images are {images.dtype}, neither uint8 nor float32")
    if labels.dtype.kind not in "iu":
        raise ArgumentError(f"{name}: labels are {labels.dtype}, not whole numbers")
    if images.ndim != 4 or images.shape[1:] != shape:
        raise ArgumentError(f"{name}: images of shape {images.shape[1:]}, not {shape} as expected")
    if len(images) == 0 or labels.shape != (len(images),):
        raise ArgumentError(f"{name}: {len(images)} images and labels of shape {labels.shape}")
    if images.size == 0:
        raise ArgumentError(f"{name}: images of shape {shape}, without a pixel")
    if images.dtype.kind == "f" and not _all_finite(images):
        raise ArgumentError(f"{name}: some pixels are not finite")
    lowest, highest = int(labels.min()), int(labels.max())
    if lowest < 0 or highest >= num_classes:
        raise ArgumentError(f"{name}: labels {lowest}..{highest}, outside 0..{num_classes - 1}")


def _all_finite(images: npt.NDArray[Any]) -> bool:
    import numpy as np

    return bool(np.isfinite(images).all())
