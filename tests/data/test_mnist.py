"""optbench.data.mnist"""

import gzip
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from optbench.data.mnist import FILES, mnist_like
from optbench.errors import ArgumentError

COUNTS = {"train": 30, "test": 10}


def idx_bytes(array: np.ndarray) -> bytes:
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return header + array.tobytes()


def write_files(raw: Path) -> None:
    """Four tiny gzipped files in MNIST's layout."""
    raw.mkdir(parents=True)
    random = np.random.default_rng(0)
    for split, count in COUNTS.items():
        images = random.integers(0, 256, (count, 5, 4), np.uint8)
        labels = (np.arange(count) % 10).astype(np.uint8)
        for part, array in (("images", images), ("labels", labels)):
            path = raw / f"{FILES[f'{split}_{part}']}.gz"
            path.write_bytes(gzip.compress(idx_bytes(array)))


def load(root: Path, **changes: Any) -> Any:
    settings: dict[str, Any] = {
        "folder": "Toys",
        "root": str(root),
        "mirrors": [],
        "md5": dict.fromkeys(FILES, ""),
        "mean": [0.5],
        "std": [0.5],
        "download": False,
    }
    return mnist_like(**(settings | changes))


def test_packed_and_unpacked_files_load_alike(tmp_path: Path) -> None:
    raw = tmp_path / "Toys" / "raw"
    write_files(raw)
    packed = load(tmp_path)
    assert (packed.input_shape, packed.train_size, packed.test_size) == ((1, 5, 4), 30, 10)
    for path in list(raw.iterdir()):
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()
    streams = [
        dataset.open("train", torch.device("cpu")).stream(torch.arange(30), [(0, 30)])
        for dataset in (packed, load(tmp_path))
    ]
    (left, right), (left_targets, right_targets) = zip(*map(next, streams), strict=True)
    assert torch.equal(left, right)
    assert torch.equal(left_targets, right_targets)


def test_a_missing_file_says_where_and_what_to_do(tmp_path: Path) -> None:
    raw = tmp_path / "Toys" / "raw"
    write_files(raw)
    (raw / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(ArgumentError) as caught:
        load(tmp_path, mirrors=["https://example.org/"])
    message = str(caught.value)
    assert "\n" not in message
    hints = ("t10k-labels-idx1-ubyte.gz", str(raw), "point root at", "download=True")
    assert all(hint in message for hint in hints)


def test_missing_files_are_downloaded_and_the_others_left(tmp_path: Path) -> None:
    source = tmp_path / "mirror"
    write_files(source)
    raw = tmp_path / "root" / "Toys" / "raw"
    raw.mkdir(parents=True)
    kept = f"{FILES['train_images']}.gz"
    (raw / kept).write_bytes((source / kept).read_bytes())
    md5 = {
        part: hashlib.md5((source / f"{name}.gz").read_bytes()).hexdigest()
        for part, name in FILES.items()
    } | {"train_images": "unused"}
    mirrors = [f"{source.as_uri()}/"]
    load(tmp_path / "root", download=True, mirrors=mirrors, md5=md5)
    assert len(list(raw.iterdir())) == 4


def test_labels_outside_the_classes_are_refused(tmp_path: Path) -> None:
    write_files(tmp_path / "Toys" / "raw")
    with pytest.raises(ArgumentError, match=r"Toys train: labels 0..9, outside 0..4"):
        load(tmp_path, num_classes=5)


def test_files_of_other_names_stored_column_by_column(tmp_path: Path) -> None:
    raw = tmp_path / "Toys" / "raw"
    write_files(raw)
    plain = load(tmp_path)
    files = {part: f"emnist-balanced-{part}-ubyte" for part in FILES}
    for part, name in FILES.items():
        (raw / f"{name}.gz").rename(raw / f"{files[part]}.gz")
    turned = mnist_like("Toys", str(tmp_path), [0.5], [0.5], files=files, transposed=True)
    assert turned.input_shape == (1, 4, 5)
    with pytest.raises(ArgumentError, match=r"Toys is missing: no train.* there or point root at "):
        mnist_like("Toys", str(tmp_path), [0.5], [0.5])  # nobody has it, mirrors or not
    images = [
        next(made.open("train", torch.device("cpu")).stream(torch.arange(30), [(0, 30)]))[0]
        for made in (plain, turned)
    ]
    assert torch.equal(images[0].transpose(-1, -2), images[1])


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"train_image": "x"}, r"no train_image; there is train_images, "),
        ({"train_images": "../x"}, r"files.train_images='../x': not the name of a file"),
        ({"train_images": 3}, r"files.train_images=3: not the name of a file"),
    ],
)
def test_names_of_files_are_looked_at(tmp_path: Path, files: dict[str, Any], said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        load(tmp_path, files=files)


def test_swapped_files_are_told_and_nobody_is_sent_to_download_them(tmp_path: Path) -> None:
    write_files(tmp_path / "Toys" / "raw")
    names = FILES["train_labels"], FILES["train_images"]
    swapped = {"train_images": f"{names[0]}.gz", "train_labels": names[1]}  # .gz may be said
    with pytest.raises(ArgumentError, match=r"1 dimension, not 3; images have 3, labels 1") as told:
        load(tmp_path, files=swapped)
    assert "download" not in str(told.value)
    with pytest.raises(ArgumentError, match="or delete it and set download=True"):
        load(tmp_path, files=swapped, mirrors=["http://nowhere/"])
