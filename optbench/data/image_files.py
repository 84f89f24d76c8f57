"""The images of a folder of class folders, found without opening any."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optbench.errors import Argument, ArgumentError, UserError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
NAMED = 2


@dataclass(frozen=True)
class ImageFiles:
    """names [N] (bytes, below folder) and labels int64 [N], and notes on what was left out.

    One flat array of names, so that forked workers share its memory: reference counts would make
    each worker copy a list of strings.
    """

    folder: str
    names: npt.NDArray[Any]
    labels: npt.NDArray[np.int64]
    notes: tuple[str, ...] = ()

    def path(self, index: int) -> str:
        """Return the path of an image."""
        return os.path.join(self.folder, os.fsdecode(self.names[index]))


def scan_classes(folder: Path) -> list[str]:
    """Return the class folders in a folder, sorted.

    Raises:
        ArgumentError: it cannot be read.
        UserError: there are none.
    """
    try:
        with os.scandir(folder) as entries:
            names = [e.name for e in entries if _holds(e.is_dir) and not e.name.startswith(".")]
    except OSError as error:
        raise ArgumentError(
            f"no images in {folder} ({error.strerror}): put one folder of images for each class"
            " there, or point ",
            Argument("root"),
            " at the folder which has ",
            Argument("train_dir"),
            " and ",
            Argument("test_dir"),
        ) from error
    if not names:
        raise UserError(
            f"no class folders in {folder}: it must hold one folder of images for each class"
        )
    return sorted(names)


def scan_images(folder: Path, classes: Sequence[str]) -> ImageFiles:
    """Return the images folder/<class>/**/*.<extension> of a split, sorted by class and name.

    A label is the class's place in `classes`. What is hidden or no image is left out and counted in
    a note.

    Raises:
        UserError: a class folder is not among `classes`, or has no images.
    """
    numbers = {name: number for number, name in enumerate(classes)}
    left_out = LeftOut(str(folder))
    left_out.look_at_top(folder)
    names: list[bytes] = []
    labels: list[int] = []
    for name in scan_classes(folder):
        if name not in numbers:
            raise UserError(f"{folder / name} is not among the {len(classes)} training classes")
        found = _images_in(str(folder), name, left_out)
        if not found:
            raise UserError(
                f"no images in {folder / name}: it has no file ending in {' '.join(EXTENSIONS)}"
            )
        names += [os.fsencode(image) for image in sorted(found)]
        labels += [numbers[name]] * len(found)
    import numpy as np  # only now: a twentieth of a second, which a missing folder need not cost

    notes = left_out.notes()
    return ImageFiles(str(folder), np.array(names), np.array(labels, np.int64), notes)


def _images_in(folder: str, name: str, left_out: LeftOut) -> list[str]:
    """Return the images in folder/name and the folders inside it, each as name/.../image.

    A folder that links lead to twice is looked at once.
    """
    found, to_do, seen = list[str](), [name], set[tuple[int, int]]()
    while to_do:
        at = to_do.pop()
        place = os.path.join(folder, at)
        try:
            status = os.stat(place)
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(place) as entries:
                for entry in entries:
                    below = f"{at}/{entry.name}"
                    if entry.name.startswith("."):
                        left_out.hidden(entry, below)
                    elif _holds(entry.is_dir):
                        to_do.append(below)
                    elif not is_image(entry.name):
                        left_out.other.append(below)
                    elif _holds(entry.is_file):
                        found.append(below)
                    else:
                        left_out.no_file.append(below)
        except OSError as error:
            raise UserError(f"{place} cannot be read ({error.strerror})") from error
    return found


def _holds(is_kind: Callable[[], bool]) -> bool:
    """Return what an entry says of itself; of one that leads nowhere, False."""
    try:
        return is_kind()
    except OSError:
        return False


def is_image(name: str) -> bool:
    """Return whether a file's name has the ending of an image's."""
    return name.lower().endswith(EXTENSIONS)


class LeftOut:
    """The entries of a split that no example is made of, by the reason."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self.other: list[str] = []
        self.no_file: list[str] = []
        self._hidden: list[str] = []
        self._outside: list[str] = []

    def hidden(self, entry: os.DirEntry[str], name: str) -> None:
        """Count a hidden entry if it is a folder or an image."""
        if is_image(entry.name) or _holds(entry.is_dir):
            self._hidden.append(name)

    def look_at_top(self, folder: Path) -> None:
        """Count the images beside the class folders, and the hidden folders."""
        with suppress(OSError), os.scandir(folder) as entries:  # scan_classes says what is wrong
            for entry in entries:
                if entry.name.startswith("."):
                    self.hidden(entry, entry.name)
                elif is_image(entry.name) and not _holds(entry.is_dir):
                    self._outside.append(entry.name)

    def notes(self) -> tuple[str, ...]:
        """Return one line that counts them all, or none."""
        parts = [
            f"{len(names)} {what if len(names) == 1 else whats} ({few(names)})"
            for names, what, whats in (
                (
                    self._outside,
                    "image outside of the class folders",
                    "images outside of the class folders",
                ),
                (self._hidden, "hidden image or folder", "hidden images or folders"),
                (self.no_file, "broken link, pipe or device", "broken links, pipes or devices"),
                (self.other, "file without an image's ending", "files without an image's ending"),
            )
            if names
        ]
        return (f"left out of {self._folder}: {', '.join(parts)}",) if parts else ()


def few(names: Sequence[str]) -> str:
    """Return some names, in a line."""
    first = sorted(names)[:NAMED]
    return ", ".join(first) + (", ..." if len(names) > len(first) else "")
