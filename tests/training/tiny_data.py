"""A few examples of each data set that is read from files, in the real formats."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

TRAIN, TEST = 40, 12
LETTERS = "\n !$&',-.3:;?ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
"""Those of Tiny Shakespeare."""


def write_all(root: Path) -> None:
    """A data root that has all of them."""
    for folder in ("MNIST", "FashionMNIST"):
        write_mnist(root / folder / "raw")
    batches = [f"data_batch_{number}" for number in range(1, 6)]
    write_cifar(root / "cifar-10-batches-py", batches, ["test_batch"], "labels", 10)
    write_cifar(root / "cifar-100-python", ["train"], ["test"], "fine_labels", 100)
    write_tree(root)
    write_shakespeare(root / "tinyshakespeare" / "input.txt")


def write_mnist(raw: Path) -> None:
    """IDX files of 28x28 images."""
    raw.mkdir(parents=True)
    random = np.random.default_rng(0)
    for name, count in (("train", TRAIN), ("t10k", TEST)):
        images = random.integers(0, 256, (count, 28, 28), np.uint8)
        labels = (np.arange(count) % 10).astype(np.uint8)
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
            (raw / f"{name}-{kind}-ubyte").write_bytes(head + array.tobytes())


def write_cifar(
    folder: Path, train: Sequence[str], test: Sequence[str], label: str, classes: int
) -> None:
    """Pickled batches, as they lie in the extracted folder."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(1)
    for names, total in ((train, TRAIN), (test, TEST)):
        for name in names:
            count = total // len(names)
            data = random.integers(0, 256, (count, 3072), np.uint8)
            labels = [int(n) for n in random.integers(0, classes, count)]
            batch = {"data": data, label: labels}
            (folder / name).write_bytes(pickle.dumps(batch, protocol=2))


def write_tree(root: Path) -> None:
    """train/ and val/ with JPEG files of two classes, as ImageNet's."""
    random = np.random.default_rng(2)
    for split, count in (("train", TRAIN), ("val", TEST)):
        for number in range(count):
            path = root / split / f"n{number % 2}" / f"{number}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = random.integers(0, 256, (5, 6, 3), np.uint8)
            Image.fromarray(pixels).resize((60, 50)).save(path)


def write_shakespeare(path: Path, length: int = 3000) -> None:
    """Letters without a sense, each of them at least once."""
    path.parent.mkdir(parents=True)
    drawn = np.random.default_rng(3).integers(0, len(LETTERS), length - len(LETTERS))
    path.write_text(LETTERS + "".join(LETTERS[n] for n in drawn), encoding="utf-8")
