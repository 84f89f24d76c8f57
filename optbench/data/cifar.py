"""CIFAR-10 and CIFAR-100 from the archives "for Python".

Source: A. Krizhevsky, https://www.cs.toronto.edu/~kriz/cifar.html
"""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from optbench.data.array_pickle import load_array_pickle
from optbench.data.arrays import ArrayDataset, Examples
from optbench.data.download import fetch, md5_of
from optbench.errors import UserError

SHAPE = (3, 32, 32)


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
) -> ArrayDataset:
    """Colour uint8 images [N, 3, 32, 32] from root/folder, else from root/archive.

    folder is the archive's top folder; once extracted it loads faster (the archive is checked
    against `md5` and unpacked in memory each time). With `download`, the archive is fetched from
    `url` when both are missing. label_key names the labels in the pickled batches ("labels" or
    "fine_labels"). See ArrayDataset for mean, std, crop and flip. Raises UserError when something
    is missing or damaged.
    """
    base = Path(root).expanduser()
    place = base / folder
    names = [*train_files, *test_files]
    if place.is_dir():
        contents = _read_folder(place, names)
    else:
        place = _archive(base, folder, archive, url, md5, download)
        contents = _read_archive(place, folder, names)
    return ArrayDataset(
        folder,
        _examples(place, contents, train_files, label_key),
        _examples(place, contents, test_files, label_key),
        num_classes,
        mean,
        std,
        crop,
        flip,
    )


def _archive(base: Path, folder: str, archive: str, url: str, md5: str, download: bool) -> Path:
    path = base / archive
    if path.is_file():
        found = md5_of(path)
        if found != md5:
            raise _damaged(path, f"MD5 {found} instead of {md5}")
    elif download:
        fetch([url], md5, path)
    else:
        raise UserError(
            f"{folder} is missing: neither {base / folder} nor {path} is there; copy {archive}"
            f" (from {url}) there by hand, point OPTBENCH_DATA or dataset.root at a folder which"
            " has it, or set dataset.download=true"
        )
    return path


def _read_folder(folder: Path, names: Sequence[str]) -> dict[str, bytes]:
    try:
        return {name: (folder / name).read_bytes() for name in names}
    except OSError as error:
        raise _damaged(folder, str(error)) from error


def _read_archive(path: Path, folder: str, names: Sequence[str]) -> dict[str, bytes]:
    wanted = {f"{folder}/{name}": name for name in names}
    contents: dict[str, bytes] = {}
    try:
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                file = archive.extractfile(member) if member.name in wanted else None
                if file is not None:
                    contents[wanted[member.name]] = file.read()
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        raise _damaged(path, str(error)) from error
    missing = [name for name in names if name not in contents]
    if missing:
        raise _damaged(path, f"no {folder}/{missing[0]} in it")
    return contents


def _examples(
    place: Path, contents: Mapping[str, bytes], names: Sequence[str], label_key: str
) -> Examples:
    images, labels = [], []
    for name in names:
        try:
            batch = load_array_pickle(contents[name])
            images.append(np.asarray(batch["data"], np.uint8).reshape(-1, *SHAPE))
            labels.append(np.asarray(batch[label_key], np.int64))
        except Exception as error:  # broken bytes make the unpickler raise nearly anything
            raise _damaged(place / name, f"{type(error).__name__}: {error}") from error
    return Examples(np.concatenate(images), np.concatenate(labels))


def _damaged(path: Path, reason: str) -> UserError:
    return UserError(
        f"{path} cannot be read ({' '.join(reason.split())}): replace it by a good copy, or delete"
        " it and set dataset.download=true"
    )
