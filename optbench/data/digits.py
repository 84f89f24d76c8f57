"""scikit-learn's handwritten digits: 1797 grey images of 8x8, installed with scikit-learn.

Source: E. Alpaydin, C. Kaynak, "Optical recognition of handwritten digits", UCI (1998), test part.
"""

from __future__ import annotations

import gzip
import importlib.util
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from optbench.data.arrays import ArrayDataset, Examples
from optbench.data.hashing import mix64
from optbench.errors import UserError

TEST_SIZE = 360
SPLIT_SEED = 0  # the split belongs to the data set: no run's seed changes it
CLASSES = 10
TABLE_SHAPE = (1797, 65)
HIGHEST = 16  # pixels count the ink of 4x4 blocks


def digits(
    mean: Sequence[float], std: Sequence[float], crop: int = 0, flip: bool = False
) -> ArrayDataset:
    """1437 training and 360 test images [1, 8, 8], float32 in [0, 1] (the pixels / 16).

    The fixed split has equal parts of every class, up to one image. See ArrayDataset for mean, std,
    crop and flip. Raises UserError when scikit-learn is missing or its file is damaged.
    """
    table = _read_table()
    images = (table[:, :-1].reshape(-1, 1, 8, 8) / HIGHEST).astype(np.float32)
    labels = table[:, -1].astype(np.int64)
    train, test = split(labels)
    return ArrayDataset(
        "digits",
        Examples(images[train], labels[train]),
        Examples(images[test], labels[test]),
        CLASSES,
        mean,
        std,
        crop,
        flip,
    )


def split(labels: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """(train, test) numbers of the examples, ascending; a pure function of the labels.

    Sorted by class, and within a class by a hash of their number, examples at even distances are
    the test set, so that each class gives its share.
    """
    count = len(labels)
    keys = [(label, mix64(SPLIT_SEED, number)) for number, label in enumerate(labels.tolist())]
    by_class = np.array(sorted(range(count), key=keys.__getitem__), np.int64)
    chosen = np.diff(np.arange(count + 1) * TEST_SIZE // count) > 0
    return np.sort(by_class[~chosen]), np.sort(by_class[chosen])


def _read_table() -> npt.NDArray[Any]:
    """TABLE_SHAPE: 64 pixels in 0..16, then the label."""
    spec = importlib.util.find_spec("sklearn")
    if spec is None or not spec.submodule_search_locations:
        raise UserError("digits is missing: it comes with scikit-learn; pip install scikit-learn")
    path = Path(spec.submodule_search_locations[0], "datasets", "data", "digits.csv.gz")
    if not path.is_file():
        return _table_of_sklearn()
    try:
        with gzip.open(path, "rt") as file:
            table = np.loadtxt(file, delimiter=",", ndmin=2)
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}): reinstall scikit-learn") from error
    if table.shape != TABLE_SHAPE:
        raise UserError(f"{path} is a table of {table.shape}, not {TABLE_SHAPE}: it is damaged")
    return table


def _table_of_sklearn() -> npt.NDArray[Any]:
    # Costs a second of imports: only for versions which keep the file elsewhere.
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return np.column_stack([bunch.data, bunch.target])
