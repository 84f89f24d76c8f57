"""CIFAR's batches as a stranger may write them: refused in one line, or exactly what they hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from few import few

from optbench.assemble.create import call
from optbench.data.cifar import cifar_like

from . import crafted_pickles as crafted
from .sandbox import bounded

SETTINGS: dict[str, Any] = {
    "folder": "batches",
    "archive": "batches.tar.gz",
    "url": "",
    "md5": "",
    "train_files": ["one", "two"],
    "test_files": ["three"],
    "label_key": "labels",
    "num_classes": 10,
    "mean": [0.0, 0.0, 0.0],
    "std": [1.0, 1.0, 1.0],
    "download": False,
}


def load(root: Path, first: bytes, second: bytes | None = None) -> Any:
    """Images and labels of the training set, whose two files have these contents."""
    (root / "batches").mkdir()
    second = crafted.batch() if second is None else second
    for name, content in (("one", first), ("two", second), ("three", crafted.batch())):
        (root / "batches" / name).write_bytes(content)
    found = call(cifar_like, "dataset", root=str(root), **SETTINGS)._splits["train"]
    return found.images, found.labels


@pytest.mark.parametrize("name", crafted.GOOD)
def test_what_numpy_writes_is_read(name: str, tmp_path: Path) -> None:
    outcome = bounded(lambda: load(tmp_path, crafted.GOOD[name]))
    assert outcome.how == "done", outcome.what
    images, labels = outcome.what
    assert (images.dtype, labels.dtype) == (np.uint8, np.int64)
    assert np.array_equal(images.reshape(2, -1, 3072)[0], crafted.PIXELS)
    assert labels.tolist() == crafted.LABELS * 2


def assert_refused(outcome: Any, named: str) -> None:
    assert outcome.how == "refused", outcome
    assert "\n" not in outcome.what
    assert len(outcome.what) < 600
    assert named in outcome.what


SLOW = {"many nothings"}


@pytest.mark.parametrize(
    "name",
    few([n for n in crafted.BAD if n not in SLOW], 24)
    + [pytest.param(n, marks=pytest.mark.slow) for n in SLOW],
)
def test_anything_else_is_one_line(name: str, tmp_path: Path) -> None:
    outcome = bounded(lambda: load(tmp_path, crafted.BAD[name]))
    assert_refused(outcome, f"{tmp_path}/batches/one cannot be read (")
    assert not Path("ran").exists()


@pytest.mark.parametrize("name", few(crafted.NUMBERS, 8))
def test_nothing_is_cast(name: str, tmp_path: Path) -> None:
    content = crafted.batch(*crafted.NUMBERS[name])
    assert_refused(bounded(lambda: load(tmp_path, content)), "batches")


def test_labels_of_one_file_are_not_those_of_the_next(tmp_path: Path) -> None:
    """As many labels as images, but not in each file."""
    one, two = crafted.batch(labels=[0, 1, 2]), crafted.batch(labels=[0, 1, 2, 3, 4])
    assert_refused(bounded(lambda: load(tmp_path, one, two)), "4 images, but 3 labels")
