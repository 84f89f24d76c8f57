"""MNIST, and the data sets in its file layout such as FashionMNIST and EMNIST: four IDX files."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from optbench.data.arrays import ArrayDataset, Examples
from optbench.data.download import fetch, others_than_published
from optbench.data.idx import read_idx
from optbench.errors import Argument, ArgumentError

FILES = MappingProxyType(
    {
        "train_images": "train-images-idx3-ubyte",
        "train_labels": "train-labels-idx1-ubyte",
        "test_images": "t10k-images-idx3-ubyte",
        "test_labels": "t10k-labels-idx1-ubyte",
    }
)
"""What MNIST and FashionMNIST call them, without .gz."""
DIMENSIONS = {"train_images": 3, "train_labels": 1, "test_images": 3, "test_labels": 1}


def mnist_like(
    folder: str,
    root: str,
    mean: Sequence[float],
    std: Sequence[float],
    num_classes: int = 10,
    download: bool = True,
    mirrors: Sequence[str] = (),
    md5: Mapping[str, str] = MappingProxyType({}),
    crop: int = 0,
    flip: bool = False,
    files: Mapping[str, str] = FILES,
    transposed: bool = False,
) -> ArrayDataset:
    """Return the four IDX files in root/folder/raw, each unpacked or as .gz: grey uint8 images.

    `files` has their names, with or without .gz, where these are others than MNIST's, as EMNIST's
    `emnist-balanced-train-images-idx3-ubyte`; `transposed` is for images that are stored column
    by column, as EMNIST's are.

    With `download`, missing files are fetched from mirror + file name + ".gz" and must have the MD5
    given for train_images, train_labels, test_images and test_labels; of a .gz which is there and
    has another MD5 than is given there is a note. See ArrayDataset for mean, std, crop and flip.

    Raises:
        ArgumentError: a file is missing or damaged, or no plain name.
    """
    raw = Path(root).expanduser() / folder / "raw"
    names = _names(files)
    paths = {part: _find(raw, name) for part, name in names.items()}
    for part, name in names.items():
        if paths[part] is None and not (download and mirrors):
            raise _missing(folder, raw, name, bool(mirrors))
    opened = {
        part: path or _fetch(raw / f"{names[part]}.gz", mirrors, md5.get(part, ""))
        for part, path in paths.items()
    }
    found = [part for part, path in paths.items() if path is not None and path.suffix == ".gz"]
    notes = others_than_published(folder, {opened[part]: md5.get(part, "") for part in found})
    arrays = {
        part: read_idx(path, DIMENSIONS[part], elsewhere=bool(mirrors))
        for part, path in opened.items()
    }
    if transposed:
        for part in ("train_images", "test_images"):
            arrays[part] = arrays[part].transpose(0, 2, 1).copy()
    return ArrayDataset(
        folder,
        Examples(arrays["train_images"][:, None], arrays["train_labels"]),
        Examples(arrays["test_images"][:, None], arrays["test_labels"]),
        num_classes,
        mean,
        std,
        crop,
        flip,
        notes,
    )


def _missing(folder: str, raw: Path, name: str, elsewhere: bool) -> ArgumentError:
    """Return the error for a file that is not there; `elsewhere`: it could be downloaded."""
    return ArgumentError(
        f"{folder} is missing: no {name}.gz in {raw}; copy the {len(FILES)} .gz files"
        f" there{',' if elsewhere else ' or'} point ",
        Argument("root"),
        f" at a folder which holds {folder}/raw",
        *((", or set ", Argument("download", True)) if elsewhere else ()),
    )


def _names(files: Mapping[str, str]) -> dict[str, str]:
    """Return the name of each of the four files; MNIST's where nothing else is said."""
    for part, name in files.items():
        if part not in FILES:
            raise ArgumentError(
                Argument("files", files), f": no {part}; there is {', '.join(FILES)}"
            )
        if not isinstance(name, str) or Path(name).name != name:
            raise ArgumentError(Argument(f"files.{part}", name), ": not the name of a file in raw/")
    return {**FILES, **{part: name.removesuffix(".gz") for part, name in files.items()}}


def _find(raw: Path, name: str) -> Path | None:
    candidates = (raw / name, raw / f"{name}.gz")
    return next((path for path in candidates if os.path.exists(path)), None)


def _fetch(destination: Path, mirrors: Sequence[str], md5: str) -> Path:
    if not md5:
        raise ArgumentError(
            Argument("md5"),
            f": has none for {destination.name}, without which nothing is downloaded",
        )
    fetch([mirror + destination.name for mirror in mirrors], md5, destination)
    return destination
