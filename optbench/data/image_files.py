"""The images of a folder of class folders, found without opening any."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optbench.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")


@dataclass(frozen=True)
class ImageFiles:
    """names [N] (bytes, below folder) and labels int64 [N].

    One flat array of names, so that forked workers share its memory: reference counts would make
    each worker copy a list of strings.
    """

    folder: str
    names: npt.NDArray[Any]
    labels: npt.NDArray[np.int64]

    def path(self, index: int) -> str:
        """The path of an image."""
        return os.path.join(self.folder, os.fsdecode(self.names[index]))


def scan_classes(folder: Path) -> list[str]:
    """The class folders in a folder, sorted. Raises UserError when there are none."""
    try:
        with os.scandir(folder) as entries:
            names = [e.name for e in entries if e.is_dir() and not e.name.startswith(".")]
    except OSError as error:
        raise UserError(
            f"no images in {folder} ({error.strerror}): put one folder of images for each class"
            " there, or point dataset.root (or OPTBENCH_DATA) at the folder which has"
            " dataset.train_dir and dataset.test_dir"
        ) from error
    if not names:
        raise UserError(
            f"no class folders in {folder}: it must hold one folder of images for each class"
        )
    return sorted(names)


def scan_images(folder: Path, classes: Sequence[str]) -> ImageFiles:
    """The images folder/<class>/*.<extension> of a split, sorted by class and name.

    A label is the class's place in `classes`. Raises UserError on a class folder which is not among
    `classes`, or which has no images.
    """
    numbers = {name: number for number, name in enumerate(classes)}
    names: list[bytes] = []
    labels: list[int] = []
    for name in scan_classes(folder):
        if name not in numbers:
            raise UserError(f"{folder / name} is not among the {len(classes)} training classes")
        found = _images_in(folder / name)
        if not found:
            raise UserError(
                f"no images in {folder / name}: it has no file ending in {' '.join(EXTENSIONS)}"
            )
        names += [os.fsencode(f"{name}/{image}") for image in found]
        labels += [numbers[name]] * len(found)
    import numpy as np  # only now: a twentieth of a second, which a missing folder need not cost

    return ImageFiles(str(folder), np.array(names), np.array(labels, np.int64))


def _images_in(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(e.name for e in entries if e.name.lower().endswith(EXTENSIONS))
    except OSError as error:
        raise UserError(f"{folder} cannot be read ({error.strerror})") from error
