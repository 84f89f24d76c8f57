"""optbench.data.cifar, with tiny archives in the real format."""

import hashlib
import io
import pickle
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from optbench.data.arrays import ArrayDataset
from optbench.data.cifar import cifar_like
from optbench.errors import ArgumentError

FOLDER, ARCHIVE = "cifar-10-batches-py", "cifar-10-python.tar.gz"
TRAIN, TEST = ["data_batch_1", "data_batch_2"], ["test_batch"]
CPU = torch.device("cpu")


def batch_bytes(seed: int, label_key: str) -> bytes:
    """Six images, pickled as the real files are: protocol 2, numpy under its old name."""
    random = np.random.default_rng(seed)
    batch = {
        "data": random.integers(0, 256, (6, 3072), np.uint8),
        label_key: [seed] * 6,
        "filenames": ["a.png"] * 6,
    }
    return pickle.dumps(batch, protocol=2).replace(b"cnumpy._core.multi", b"cnumpy.core.multi")


def write_archive(path: Path, label_key: str = "labels") -> None:
    with tarfile.open(path, "w:gz") as archive:
        for seed, name in reversed(list(enumerate([*TRAIN, *TEST, "batches.meta"]))):
            content = batch_bytes(seed, label_key)
            member = tarfile.TarInfo(f"{FOLDER}/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def load(root: Path, **changes: Any) -> ArrayDataset:
    path = root / ARCHIVE
    settings: dict[str, Any] = {
        "folder": FOLDER,
        "root": str(root),
        "archive": ARCHIVE,
        "url": "http://127.0.0.1:9/",
        "md5": hashlib.md5(path.read_bytes()).hexdigest() if path.exists() else "",
        "train_files": TRAIN,
        "test_files": TEST,
        "label_key": "labels",
        "num_classes": 10,
        "mean": [0.0, 0.0, 0.0],
        "std": [1.0, 1.0, 1.0],
        "download": False,
    }
    return cifar_like(**(settings | changes))


def all_of(dataset: ArrayDataset, split: Any) -> tuple[Tensor, Tensor]:
    source = dataset.open(split, CPU)
    return next(iter(source.stream(torch.arange(len(source)), [(0, len(source))])))


def test_an_archive_loads_in_the_order_of_its_files(tmp_path: Path) -> None:
    write_archive(tmp_path / ARCHIVE)
    dataset = load(tmp_path)
    assert dataset.input_shape == (3, 32, 32)
    assert (dataset.num_classes, dataset.train_size, dataset.test_size) == (10, 12, 6)
    inputs, targets = all_of(dataset, "train")
    assert targets.tolist() == [0] * 6 + [1] * 6
    raw = np.random.default_rng(0).integers(0, 256, (6, 3072), np.uint8).reshape(6, 3, 32, 32)
    assert torch.equal((inputs[:6] * 255).round(), torch.from_numpy(raw).float())


def test_an_extracted_folder_loads_alike(tmp_path: Path) -> None:
    write_archive(tmp_path / ARCHIVE, "fine_labels")
    packed = all_of(load(tmp_path, label_key="fine_labels"), "test")
    (tmp_path / FOLDER).mkdir()
    for seed, name in enumerate([*TRAIN, *TEST]):
        (tmp_path / FOLDER / name).write_bytes(batch_bytes(seed, "fine_labels"))
    (tmp_path / ARCHIVE).unlink()
    extracted = all_of(load(tmp_path, label_key="fine_labels"), "test")
    assert all(torch.equal(*pair) for pair in zip(packed, extracted, strict=True))


def message_of(root: Path, **changes: Any) -> str:
    with pytest.raises(ArgumentError) as caught:
        load(root, **changes)
    message = str(caught.value)
    assert "\n" not in message
    assert "download=True" in message or "point root at" in message
    return message


def test_a_missing_set_says_where_and_what_to_do(tmp_path: Path) -> None:
    message = message_of(tmp_path)
    assert all(str(tmp_path / name) in message for name in (FOLDER, ARCHIVE))
    assert "127.0.0.1:9" in message_of(tmp_path, download=True)


def test_a_truncated_archive_is_named(tmp_path: Path) -> None:
    path = tmp_path / ARCHIVE
    write_archive(path)
    good = hashlib.md5(path.read_bytes()).hexdigest()
    path.write_bytes(path.read_bytes()[:-3000])
    message = message_of(tmp_path, md5=good)
    assert f"{path} cannot be read (it is cut short; its MD5 is not the published one)" in message
    assert f"{path} cannot be read (it is cut short)" in message_of(tmp_path)


def test_an_incomplete_archive_names_the_file(tmp_path: Path) -> None:
    write_archive(tmp_path / ARCHIVE)
    assert f"no {FOLDER}/other in it" in message_of(tmp_path, test_files=["other"])


@pytest.mark.parametrize("content", [b"", b"junk", pickle.dumps([1]), pickle.dumps({"data": [1]})])
def test_a_damaged_file_in_a_folder_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FOLDER).mkdir()
    for seed, name in enumerate([*TRAIN, *TEST]):
        (tmp_path / FOLDER / name).write_bytes(batch_bytes(seed, "labels"))
    (tmp_path / FOLDER / "data_batch_2").write_bytes(content)
    assert f"{FOLDER}/data_batch_2 cannot be read" in message_of(tmp_path)
    (tmp_path / FOLDER / "data_batch_2").unlink()
    assert "No such file" in message_of(tmp_path)


def test_a_pickle_which_calls_something_is_not_run(tmp_path: Path) -> None:
    (tmp_path / FOLDER).mkdir()
    for name in (*TRAIN, *TEST):
        (tmp_path / FOLDER / name).write_bytes(pickle.dumps(print))
    assert "builtins.print is not allowed" in message_of(tmp_path)
