"""Image files in ImageNet's layout: a folder for each class."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from optbench.data.fingerprint import fingerprint
from optbench.data.image_checks import check_statistics
from optbench.data.image_files import ImageFiles, few, scan_classes, scan_images
from optbench.data.image_settings import Crop, Loading
from optbench.errors import Argument, ArgumentError

if TYPE_CHECKING:
    import torch

    from optbench.data.dataset import Split
    from optbench.data.image_source import ImageSource

CHANNELS = 3


class ImageFolder:
    """A Dataset of image files; see image_folder."""

    def __init__(
        self,
        classes: Sequence[str],
        train: ImageFiles,
        test: ImageFiles,
        crop: Crop,
        loading: Loading,
        mean: Sequence[float],
        std: Sequence[float],
        notes: Sequence[str] = (),
    ) -> None:
        self.notes = tuple(notes)
        self.input_shape: tuple[int, ...] = (CHANNELS, crop.size, crop.size)
        self.num_classes = len(classes)
        self.train_size = len(train.labels)
        self.test_size = len(test.labels)
        self._files = {"train": train, "test": test}
        self._crop, self._loading = crop, loading
        self._mean, self._std = tuple(mean), tuple(std)

    @cached_property
    def fingerprint(self) -> str:
        """See `Dataset`: of the files' names and classes."""
        parts = self._files.values()
        return fingerprint(*(array for part in parts for array in (part.labels, part.names)))

    def open(self, split: Split, device: torch.device) -> ImageSource:
        """Return the split on the device; nothing is decoded before it is streamed."""
        from optbench.data.image_source import ImageSource
        from optbench.data.normalise import Normaliser

        normaliser = Normaliser(self._mean, self._std, device)
        files, augmented = self._files[split], split == "train"
        return ImageSource(files, self._crop, self._loading, normaliser, device, augmented)


def image_folder(
    root: str,
    mean: Sequence[float],
    std: Sequence[float],
    train_dir: str = "train",
    test_dir: str = "val",
    size: int = 224,
    resize: int = 256,
    min_area: float = 0.08,
    flip: bool = True,
    workers: int = 4,
    prefetch: int = 2,
    background: int = 255,
) -> ImageFolder:
    """Return colour images root/<train_dir or test_dir>/<class>/*.jpg (or .jpeg, .png, ...).

    Inputs are [3, size, size], (pixel / 255 - mean) / std; see Crop for resize, min_area, flip and
    background, Loading for workers and prefetch. The classes are train_dir's folders, sorted;
    images in folders inside of these are the class's too. What is left out is counted in the notes.

    Raises:
        ArgumentError: folders are missing or settings make no sense.
        UserError: there are no images.
    """
    check_statistics("image_folder", CHANNELS, mean, std)
    for name, value, least in (
        ("size", size, 1),
        ("resize", resize, 1),
        ("workers", workers, 0),
        ("prefetch", prefetch, 1),
    ):
        if value < least:
            what = f" must be at least {least}"
            raise ArgumentError("image_folder: ", Argument(name, value), what)
    if not 0 <= background <= 255:
        grey = Argument("background", background)
        raise ArgumentError("image_folder: ", grey, " must be 0 to 255")
    if not 0 < min_area <= 1:
        raise ArgumentError("image_folder: ", Argument("min_area", min_area), " must be in (0, 1]")
    base = Path(root).expanduser()
    classes = scan_classes(base / train_dir)
    train = scan_images(base / train_dir, classes)
    test = scan_images(base / test_dir, classes)
    crop = Crop(size, resize, min_area, flip, background)
    notes = [*train.notes, *test.notes, *_without_test(classes, test, base / test_dir)]
    return ImageFolder(classes, train, test, crop, Loading(workers, prefetch), mean, std, notes)


def _without_test(classes: Sequence[str], test: ImageFiles, folder: Path) -> list[str]:
    """Return a note on the classes that no image of `folder` is of."""
    there = set(test.labels.tolist())
    lacking = [name for number, name in enumerate(classes) if number not in there]
    if not lacking:
        return []
    return [
        f"{folder} has no images of {len(lacking)} of the {len(classes)} classes: {few(lacking)}"
    ]
