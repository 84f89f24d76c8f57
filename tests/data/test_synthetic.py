"""optbench.data.synthetic"""

from typing import Any

import pytest
import torch
from torch import Tensor

from optbench.data.synthetic import SyntheticDataset
from optbench.errors import ArgumentError


def all_of(dataset: SyntheticDataset, split: Any, device: torch.device) -> tuple[Tensor, Tensor]:
    source = dataset.open(split, device)
    return next(iter(source.stream(torch.arange(len(source)), [(0, len(source))])))


def test_shapes_labels_and_scale(device: torch.device) -> None:
    dataset = SyntheticDataset([2, 9, 8], num_classes=7, train_size=400, test_size=30)
    assert dataset.input_shape == (2, 9, 8)
    assert (dataset.num_classes, dataset.train_size, dataset.test_size) == (7, 400, 30)
    inputs, targets = all_of(dataset, "train", device)
    assert (inputs.shape, inputs.dtype) == ((400, 2, 9, 8), torch.float32)
    assert inputs.device.type == targets.device.type == device.type
    assert targets.tolist() == [number % 7 for number in range(400)]
    assert abs(float(inputs.mean())) < 0.1
    assert abs(float(inputs.std()) - 1) < 0.1


def test_the_classes_of_test_are_those_of_train(device: torch.device) -> None:
    dataset = SyntheticDataset([1, 8, 8], train_size=500, test_size=200, noise=2.0)
    inputs, targets = all_of(dataset, "train", device)
    means = torch.stack([inputs[targets == label].mean(0) for label in range(10)])
    tested, truth = all_of(dataset, "test", device)
    found = torch.cdist(tested.flatten(1), means.flatten(1)).argmin(1)
    assert float((found == truth).float().mean()) > 0.95


def test_data_seed_alone_decides(device: torch.device) -> None:
    def inputs(**settings: Any) -> Tensor:
        return all_of(SyntheticDataset([1, 4, 4], **settings), "test", device)[0]

    torch.manual_seed(1)
    first = inputs()
    torch.manual_seed(2)
    state = torch.get_rng_state()
    assert torch.equal(first, inputs())
    assert torch.equal(first, inputs(train_size=7))
    assert not torch.equal(first, inputs(data_seed=1))
    assert torch.equal(state, torch.get_rng_state())


def test_train_and_test_have_other_noise() -> None:
    dataset = SyntheticDataset([1, 4, 4], train_size=50, test_size=50)
    cpu = torch.device("cpu")
    assert not torch.equal(all_of(dataset, "train", cpu)[0], all_of(dataset, "test", cpu)[0])
    assert dataset.open("train", cpu) is dataset.open("train", cpu)


def test_only_the_training_split_is_augmented() -> None:
    dataset = SyntheticDataset([1, 4, 4], train_size=20, test_size=20, crop=1, flip=True)
    for split, changed in (("train", True), ("test", False)):
        plain, _ = all_of(dataset, split, torch.device("cpu"))
        source = dataset.open(split, torch.device("cpu"))  # type: ignore[arg-type]
        augmented, _ = next(iter(source.stream(torch.arange(20), [(0, 20)], augment_key=3)))
        assert torch.equal(plain, augmented) is not changed


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"shape": [3, 4]}, r"shape=\[3, 4\]"),
        ({"shape": [3, 0, 4]}, r"shape=\[3, 0, 4\]"),
        ({"num_classes": 0}, "num_classes=0"),
        ({"train_size": 0}, "train_size=0"),
        ({"test_size": -1}, "test_size=-1"),
        ({"noise": -0.5}, "noise=-0.5"),
        ({"crop": -2}, "crop=-2"),
    ],
)
def test_settings_without_sense_are_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        SyntheticDataset(**settings)
