"""optbench.data.digits"""

import gzip
import importlib.util
from importlib.machinery import ModuleSpec
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from optbench.data.digits import digits, split
from optbench.errors import UserError

CPU = torch.device("cpu")


def all_images() -> tuple[np.ndarray, np.ndarray]:
    """Images [1797, 64] and labels of both splits, put back in the file's order."""
    dataset = digits([0.0], [1.0])
    images, labels = [], []
    for name in ("train", "test"):
        source = dataset.open(name, CPU)  # type: ignore[arg-type]
        inputs, targets = next(iter(source.stream(torch.arange(len(source)), [(0, len(source))])))
        images.append(inputs.flatten(1).numpy())
        labels.append(targets.numpy())
    order = np.argsort(np.concatenate(split(load_digits().target)))
    return np.concatenate(images)[order], np.concatenate(labels)[order]


def test_the_same_images_as_scikit_learn() -> None:
    images, labels = all_images()
    expected = load_digits()
    assert np.array_equal(images * 16, expected.data)
    assert np.array_equal(labels, expected.target)


def test_sizes() -> None:
    dataset = digits([0.0], [1.0])
    assert dataset.input_shape == (1, 8, 8)
    assert (dataset.num_classes, dataset.train_size, dataset.test_size) == (10, 1437, 360)


def test_the_split_is_fixed_and_stratified() -> None:
    labels = load_digits().target
    train, test = split(labels)
    assert sorted([*train, *test]) == list(range(1797))
    shares = np.bincount(labels[test]) - np.bincount(labels) * 360 / 1797
    assert np.abs(shares).max() < 1
    assert test[:8].tolist() == [0, 1, 2, 4, 5, 15, 16, 17]


def use_file(monkeypatch: pytest.MonkeyPatch, package: Path | None) -> None:
    """Let sklearn be found in `package`, or nowhere."""
    spec = None
    if package is not None:
        spec = ModuleSpec("sklearn", None, is_package=True)
        spec.submodule_search_locations = [str(package)]
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)


def test_without_the_file_scikit_learn_is_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    expected = all_images()
    use_file(monkeypatch, tmp_path)
    found = all_images()
    assert all(np.array_equal(*pair) for pair in zip(found, expected, strict=True))


def test_without_scikit_learn_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    use_file(monkeypatch, None)
    with pytest.raises(UserError, match="pip install scikit-learn"):
        digits([0.0], [1.0])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        gzip.compress(b"1,2\nx", mtime=0),
        gzip.compress(b"1,2", mtime=0)[:-9],
        gzip.compress(b"1,2", mtime=0),
    ],
)
@pytest.mark.filterwarnings("ignore:loadtxt")
def test_a_damaged_file_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "datasets" / "data" / "digits.csv.gz"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    use_file(monkeypatch, tmp_path)
    damaged = digits([0.0], [1.0])
    with pytest.raises(UserError, match=f"{path} (cannot be read|is a table of)"):
        damaged.open("train", CPU)
