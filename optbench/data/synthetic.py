"""Made-up images of any shape and number, which a network can learn to tell apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from optbench.data.cache import SourceMemo
from optbench.data.hashing import mix64
from optbench.data.image_checks import check_crop
from optbench.errors import Argument, ArgumentError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from optbench.data.dataset import Split
    from optbench.data.tensor_source import TensorSource

_PROTOTYPES, _TRAIN, _TEST = 1, 2, 3


class SyntheticDataset:
    """A Dataset of (prototype of the class + noise * gaussian) / sqrt(1 + noise^2).

    shape is (C, H, W). The prototypes are gaussian too: inputs have mean 0 and variance 1 a pixel;
    a noise near sqrt(C * H * W) / 4 makes classes overlap. Labels go round: example i is of class
    i mod num_classes. Made on the device from data_seed: a CPU and a GPU get different numbers.
    crop and flip augment as in ArrayDataset. Raises ArgumentError on settings which make no sense.
    """

    def __init__(
        self,
        shape: Sequence[int] = (3, 32, 32),
        num_classes: int = 10,
        train_size: int = 10000,
        test_size: int = 1000,
        noise: float = 1.0,
        data_seed: int = 0,
        crop: int = 0,
        flip: bool = False,
    ) -> None:
        self.input_shape: tuple[int, ...] = tuple(shape)
        self.num_classes = num_classes
        self.train_size = train_size
        self.test_size = test_size
        self._noise = noise
        self._seed = data_seed
        self._crop, self._flip = crop, flip
        self._sources: SourceMemo[TensorSource] = SourceMemo()
        self._check()

    def _check(self) -> None:
        shape, noise = list(self.input_shape), self._noise
        if len(shape) != 3 or min(shape) < 1:
            what = " must be [channels, height, width]"
            raise ArgumentError("synthetic: ", Argument("shape", shape), what)
        for name in ("num_classes", "train_size", "test_size"):
            if getattr(self, name) < 1:
                size = Argument(name, getattr(self, name))
                raise ArgumentError("synthetic: ", size, " must be at least 1")
        if noise < 0:
            raise ArgumentError("synthetic: ", Argument("noise", noise), " must not be negative")
        check_crop("synthetic", self._crop)

    def open(self, split: Split, device: torch.device) -> TensorSource:
        """Return the split on the device, made at the first call and kept."""
        return self._sources.get(split, device, lambda: self._make_source(split, device))

    def _make_source(self, split: Split, device: torch.device) -> TensorSource:
        import torch

        from optbench.data.augment import Augmentation
        from optbench.data.tensor_source import TensorSource

        train = split == "train"
        size = self.train_size if train else self.test_size
        prototypes = self._gaussian(self.num_classes, _PROTOTYPES, device)
        images = self._gaussian(size, _TRAIN if train else _TEST, device).mul_(self._noise)
        for label in range(self.num_classes):  # in place: no second copy of the images
            images[label :: self.num_classes] += prototypes[label]
        images /= (1 + self._noise**2) ** 0.5
        labels = torch.arange(size, device=device) % self.num_classes
        augmented = train and (self._crop > 0 or self._flip)
        augmentation = Augmentation(self._crop, self._flip) if augmented else None
        return TensorSource(images, labels, None, augmentation)

    def _gaussian(self, count: int, purpose: int, device: torch.device) -> Tensor:
        import torch

        generator = torch.Generator(device).manual_seed(mix64(self._seed, purpose) >> 1)
        shape = (count, *self.input_shape)
        return torch.randn(shape, generator=generator, device=device, dtype=torch.float32)
