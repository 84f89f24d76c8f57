"""MNIST, and the data sets in its file layout such as FashionMNIST."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from optbench.data.arrays import ArrayDataset, Examples
from optbench.data.download import fetch, others_than_published
from optbench.data.idx import read_idx
from optbench.errors import Argument, ArgumentError

FILES = {
    "train_images": "train-images-idx3-ubyte",
    "train_labels": "train-labels-idx1-ubyte",
    "test_images": "t10k-images-idx3-ubyte",
    "test_labels": "t10k-labels-idx1-ubyte",
}
DIMENSIONS = {"train_images": 3, "train_labels": 1, "test_images": 3, "test_labels": 1}


def mnist_like(
    folder: str,
    root: str,
    mirrors: Sequence[str],
    md5: Mapping[str, str],
    mean: Sequence[float],
    std: Sequence[float],
    num_classes: int = 10,
    download: bool = True,
    crop: int = 0,
    flip: bool = False,
) -> ArrayDataset:
    """Return the four IDX files in root/folder/raw, each unpacked or as .gz: grey uint8 images.

    With `download`, missing files are fetched from mirror + file name + ".gz" and must have the MD5
    given for train_images, train_labels, test_images and test_labels; of a .gz which is there and
    has another MD5 there is a note. See ArrayDataset for mean, std, crop and flip.

    Raises:
        ArgumentError: a file is missing or damaged.
    """
    raw = Path(root).expanduser() / folder / "raw"
    paths = {part: _find(raw, name) for part, name in FILES.items()}
    for part, name in FILES.items():
        if paths[part] is None and not download:
            raise ArgumentError(
                f"{folder} is missing: no {name}.gz in {raw}; copy the {len(FILES)} .gz files"
                " there, point ",
                Argument("root"),
                f" at a folder which holds {folder}/raw, or set ",
                Argument("download", True),
            )
    files = {
        part: path or _fetch(raw / f"{FILES[part]}.gz", mirrors, md5[part])
        for part, path in paths.items()
    }
    found = [part for part, path in paths.items() if path is not None and path.suffix == ".gz"]
    notes = others_than_published(folder, {files[part]: md5[part] for part in found})
    arrays = {part: read_idx(path, DIMENSIONS[part]) for part, path in files.items()}
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


def _find(raw: Path, name: str) -> Path | None:
    candidates = (raw / name, raw / f"{name}.gz")
    return next((path for path in candidates if os.path.exists(path)), None)


def _fetch(destination: Path, mirrors: Sequence[str], md5: str) -> Path:
    fetch([mirror + destination.name for mirror in mirrors], md5, destination)
    return destination
