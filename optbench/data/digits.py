"""scikit-learn's handwritten digits: 1797 grey images of 8x8, installed with scikit-learn.

Source: E. Alpaydin, C. Kaynak, "Optical recognition of handwritten digits", UCI (1998), test part.
"""

from __future__ import annotations

import gzip
import importlib.util
import zlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optbench.data.arrays import ArrayDataset, Examples
from optbench.data.hashing import mix64
from optbench.data.image_checks import check_crop, check_statistics
from optbench.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import torch

    from optbench.data.dataset import Split
    from optbench.data.tensor_source import TensorSource

TEST_SIZE = 360
SPLIT_SEED = 0  # the split belongs to the data set: no run's seed changes it
CLASSES = 10
TABLE_SHAPE = (1797, 65)
HIGHEST = 16  # pixels count the ink of 4x4 blocks


class Digits:
    """A Dataset of scikit-learn's digits, read when a split is opened; see digits."""

    input_shape: tuple[int, ...] = (1, 8, 8)
    num_classes = CLASSES
    train_size = TABLE_SHAPE[0] - TEST_SIZE
    test_size = TEST_SIZE

    def __init__(
        self, mean: Sequence[float], std: Sequence[float], crop: int = 0, flip: bool = False
    ) -> None:
        check_statistics("digits", 1, mean, std)
        check_crop("digits", crop)
        self._file = _find_table()
        self._settings = (mean, std, crop, flip)

    def open(self, split: Split, device: torch.device) -> TensorSource:
        """Return the split on the device.

        Raises:
            UserError: the file is damaged.
        """
        return self._arrays.open(split, device)

    @cached_property
    def _arrays(self) -> ArrayDataset:
        import numpy as np

        table = _read_table(self._file) if self._file else _table_of_sklearn()
        images = (table[:, :-1].reshape(-1, 1, 8, 8) / HIGHEST).astype(np.float32)
        labels = table[:, -1].astype(np.int64)
        train, test = (Examples(images[part], labels[part]) for part in split(labels))
        return ArrayDataset("digits", train, test, CLASSES, *self._settings)


def digits(
    mean: Sequence[float], std: Sequence[float], crop: int = 0, flip: bool = False
) -> Digits:
    """Return 1437 training and 360 test images [1, 8, 8], float32 in [0, 1] (the pixels / 16).

    The fixed split has equal parts of every class, up to one image. See ArrayDataset for mean, std,
    crop and flip.

    Raises:
        UserError: scikit-learn is missing.
    """
    return Digits(mean, std, crop, flip)


def split(labels: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the numbers of the (train, test) examples, ascending; a pure function of the labels.

    Sorted by class, and within a class by a hash of their number, examples at even distances are
    the test set, so that each class gives its share.
    """
    import numpy as np

    count = len(labels)
    keys = [(label, mix64(SPLIT_SEED, number)) for number, label in enumerate(labels.tolist())]
    by_class = np.array(sorted(range(count), key=keys.__getitem__), np.int64)
    chosen = np.diff(np.arange(count + 1) * TEST_SIZE // count) > 0
    return np.sort(by_class[~chosen]), np.sort(by_class[chosen])


def _find_table() -> Path | None:
    """Return the table's file, None where scikit-learn keeps it elsewhere."""
    spec = importlib.util.find_spec("sklearn")
    if spec is None or not spec.submodule_search_locations:
        raise UserError("digits is missing: it comes with scikit-learn; pip install scikit-learn")
    path = Path(spec.submodule_search_locations[0], "datasets", "data", "digits.csv.gz")
    return path if path.is_file() else None


def _read_table(path: Path) -> npt.NDArray[Any]:
    """Return the table, TABLE_SHAPE: 64 pixels in 0..16, then the label."""
    import numpy as np

    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            table = np.loadtxt(file, delimiter=",", ndmin=2)
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}): reinstall scikit-learn") from error
    if table.shape != TABLE_SHAPE:
        raise UserError(f"{path} is a table of {table.shape}, not {TABLE_SHAPE}: it is damaged")
    whole = (table == table.round()).all() and table.min() >= 0
    if not whole or table[:, :-1].max() > HIGHEST or table[:, -1].max() >= CLASSES:
        raise UserError(f"{path} has other than pixels 0..16 and labels 0..9: it is damaged")
    return table


def _table_of_sklearn() -> npt.NDArray[Any]:
    # Costs a second of imports: only for versions which keep the file elsewhere.
    import numpy as np
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return np.column_stack([bunch.data, bunch.target])
