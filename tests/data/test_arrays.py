"""optbench.data.arrays and optbench.data.image_checks"""

from typing import Any

import numpy as np
import pytest
import torch

from optbench.data.arrays import ArrayDataset, Examples
from optbench.errors import ArgumentError

CPU = torch.device("cpu")


def make_dataset(**changes: Any) -> ArrayDataset:
    random = np.random.default_rng(0)
    settings: dict[str, Any] = {
        "name": "toys",
        "train": Examples(random.integers(0, 256, (20, 1, 4, 5), np.uint8), np.arange(20) % 3),
        "test": Examples(random.integers(0, 256, (6, 1, 4, 5), np.uint8), np.arange(6) % 3),
        "num_classes": 3,
        "mean": [0.5],
        "std": [0.25],
    }
    return ArrayDataset(**(settings | changes))


def test_sizes() -> None:
    dataset = make_dataset()
    assert dataset.input_shape == (1, 4, 5)
    assert (dataset.num_classes, dataset.train_size, dataset.test_size) == (3, 20, 6)
    assert len(dataset.open("train", CPU)) == 20
    assert len(dataset.open("test", CPU)) == 6


def test_opening_again_gives_the_same_source(device: torch.device) -> None:
    dataset = make_dataset()
    assert dataset.open("train", device) is dataset.open("train", device)
    assert dataset.open("train", device) is not dataset.open("test", device)


def test_only_the_training_split_is_augmented() -> None:
    dataset = make_dataset(crop=2, flip=True)
    indices = torch.arange(6)
    for split, changed in (("train", True), ("test", False)):
        source = dataset.open(split, CPU)  # type: ignore[arg-type]
        plain, _ = next(iter(source.stream(indices, [(0, 6)])))
        augmented, _ = next(iter(source.stream(indices, [(0, 6)], augment_key=1)))
        assert torch.equal(plain, augmented) is not changed


def test_float_images_are_taken_as_they_are() -> None:
    images = np.random.default_rng(0).random((4, 1, 2, 2), np.float32)
    examples = Examples(images, np.zeros(4, np.uint8))
    source = make_dataset(train=examples, test=examples).open("test", CPU)
    inputs, targets = next(iter(source.stream(torch.arange(4), [(0, 4)])))
    assert torch.equal(inputs, (torch.from_numpy(images) - 0.5) / 0.25)
    assert targets.dtype == torch.int64


GREY = np.zeros((4, 1, 4, 5), np.uint8)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mean": [0.5, 0.5]}, "toys: mean has 2 and std 1 values"),
        ({"std": [0.0]}, "toys: std=.* must be positive"),
        ({"crop": -1}, "toys: crop=-1"),
        ({"num_classes": 2}, r"toys train: labels 0..2, outside 0..1"),
        ({"test": Examples(GREY, np.zeros(3, int))}, r"toys test: 4 images and labels"),
        ({"test": Examples(GREY[:0], np.zeros(0, int))}, r"toys test: 0 images"),
        ({"test": Examples(GREY[..., :3], np.zeros(4, int))}, r"toys test: .*\(1, 4, 3\)"),
    ],
)
def test_what_does_not_fit_is_one_line(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message) as caught:
        make_dataset(**changes)
    assert "\n" not in str(caught.value)
