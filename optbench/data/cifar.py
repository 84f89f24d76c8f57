"""CIFAR-10 and CIFAR-100 from the archives "for Python".

Source: A. Krizhevsky, https://www.cs.toronto.edu/~kriz/cifar.html
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from optbench.data.array_pickle import load_array_pickle
from optbench.data.arrays import ArrayDataset, Examples
from optbench.data.download import fetch, others_than_published
from optbench.data.exact import as_labels, as_pixels
from optbench.data.files import Unreadable, damaged, read_regular, reason_of
from optbench.data.tar_members import read_members
from optbench.errors import Argument, ArgumentError

SHAPE = (3, 32, 32)
LIMIT = 1 << 29  # bytes of a batch; CIFAR-100's training set has 155 million


def cifar_like(
    folder: str,
    root: str,
    archive: str,
    url: str,
    md5: str,
    train_files: Sequence[str],
    test_files: Sequence[str],
    label_key: str,
    num_classes: int,
    mean: Sequence[float],
    std: Sequence[float],
    download: bool = True,
    crop: int = 4,
    flip: bool = True,
    file_md5: Mapping[str, str] | None = None,
) -> ArrayDataset:
    """Return colour uint8 images [N, 3, 32, 32] from root/folder, else from root/archive.

    folder is the archive's top folder; once extracted it loads faster (the archive is unpacked in
    memory each time). With `download`, the archive is fetched from `url` when both are missing.
    What has another MD5 than `md5` (the archive) or `file_md5` (a file in the folder, by its name)
    is read all the same, with a note. label_key names the labels in the pickled batches ("labels"
    or "fine_labels"). See ArrayDataset for mean, std, crop and flip.

    Raises:
        ArgumentError: something is missing or damaged, or its numbers are no pixels and labels.
    """
    base = Path(root).expanduser()
    place = base / folder
    names = [*train_files, *test_files]
    if os.path.isdir(place):
        contents = _read_folder(place, names)
        published = {place / name: md5 for name, md5 in (file_md5 or {}).items() if name in names}
        notes = others_than_published(folder, published)
    else:
        place = _archive(base, folder, archive, url, md5, download)
        notes = others_than_published(folder, {place: md5})
        contents = _read_archive(place, folder, names, bool(notes))
    return ArrayDataset(
        folder,
        _examples(place, contents, train_files, label_key),
        _examples(place, contents, test_files, label_key),
        num_classes,
        mean,
        std,
        crop,
        flip,
        notes,
    )


def _archive(base: Path, folder: str, archive: str, url: str, md5: str, download: bool) -> Path:
    path = base / archive
    if os.path.exists(path):
        return path
    if not download:
        raise ArgumentError(
            f"{folder} is missing: neither {base / folder} nor {path} is there; copy {archive}"
            f" (from {url}) there by hand, point ",
            Argument("root"),
            " at a folder which has it, or set ",
            Argument("download", True),
        )
    fetch([url], md5, path)
    return path


def _read_folder(folder: Path, names: Sequence[str]) -> dict[str, bytes]:
    contents = {}
    for name in names:
        try:
            contents[name] = read_regular(folder / name, LIMIT)
        except Unreadable as error:
            raise damaged(folder / name, str(error)) from error
    return contents


def _read_archive(path: Path, folder: str, names: Sequence[str], other: bool) -> dict[str, bytes]:
    """Return the archive's files; `other`: it is not the one that was published."""
    also = "; its MD5 is not the published one" if other else ""
    try:
        found = read_members(path, {f"{folder}/{name}" for name in names})
    except (Unreadable, OSError, MemoryError) as error:
        raise damaged(path, reason_of(error) + also) from error
    for name in names:
        if f"{folder}/{name}" not in found:
            raise damaged(path, f"no {folder}/{name} in it{also}")
    return {name: found[f"{folder}/{name}"] for name in names}


def _examples(
    place: Path, contents: Mapping[str, bytes], names: Sequence[str], label_key: str
) -> Examples:
    images, labels = [], []
    for name in names:
        try:
            pixels, numbers = _read_batch(contents[name], label_key)
        except Exception as error:  # broken bytes make the unpickler raise nearly anything
            raise damaged(place / name, reason_of(error)) from error
        images.append(pixels)
        labels.append(numbers)
    return Examples(np.concatenate(images), np.concatenate(labels))


def _read_batch(
    content: bytes, label_key: str
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Return the images [n, 3, 32, 32] and labels [n] of one file."""
    batch = load_array_pickle(content)
    if not isinstance(batch, dict):
        raise ValueError("it holds no dictionary")
    for key in ("data", label_key):
        if key not in batch:
            raise ValueError(f"it has no {key}")
    pixels, labels = as_pixels(batch["data"]), as_labels(batch[label_key])
    if pixels.shape[1:] not in ((math.prod(SHAPE),), SHAPE):
        raise ValueError(f"data of shape {pixels.shape}, not (N, {math.prod(SHAPE)})")
    if len(pixels) != len(labels):
        raise ValueError(f"{len(pixels)} images, but {len(labels)} labels")
    return pixels.reshape(-1, *SHAPE), labels
