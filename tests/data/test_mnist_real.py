"""optbench.data.mnist with the real files, when OPTBENCH_DATA has them."""

from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from optbench.data.arrays import ArrayDataset
from optbench.data.mnist import mnist_like

CONFIGS = Path(__file__).parents[2] / "configs" / "dataset"
CPU = torch.device("cpu")
LABELS = {
    "mnist": (
        [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949],
        [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
    ),
    "fashion_mnist": ([6000] * 10, [1000] * 10),
}


@pytest.fixture(scope="module", params=list(LABELS))
def loaded(request: pytest.FixtureRequest, data_root: str) -> tuple[str, ArrayDataset]:
    config = OmegaConf.load(CONFIGS / f"{request.param}.yaml")
    settings = dict(OmegaConf.create({"data_root": data_root, "dataset": config})["dataset"])
    if not Path(data_root, settings["folder"], "raw").is_dir():
        pytest.skip(f"OPTBENCH_DATA has no {settings['folder']}")
    target = settings.pop("_target_")
    assert target == f"{mnist_like.__module__}.{mnist_like.__name__}"
    return request.param, mnist_like(**(settings | {"download": False}))


def test_sizes_and_labels(loaded: tuple[str, ArrayDataset]) -> None:
    name, dataset = loaded
    assert dataset.input_shape == (1, 28, 28)
    assert (dataset.num_classes, dataset.train_size, dataset.test_size) == (10, 60000, 10000)
    for split, counts in zip(("train", "test"), LABELS[name], strict=True):
        source = dataset.open(split, CPU)  # type: ignore[arg-type]
        order = torch.arange(len(source))
        targets = torch.cat([y for _, y in source.stream(order, [(0, len(source))])])
        assert targets.bincount(minlength=10).tolist() == counts


def test_training_inputs_are_pixels_from_0_to_1(loaded: tuple[str, ArrayDataset]) -> None:
    mean, std = {"mnist": (0.1307, 0.3081), "fashion_mnist": (0.2860, 0.3530)}[loaded[0]]
    source = loaded[1].open("train", CPU)
    inputs, _ = next(iter(source.stream(torch.arange(60000), [(0, 60000)])))
    assert (float(inputs.min()), float(inputs.max())) == (0.0, 1.0)
    assert abs(float(inputs.mean()) - mean) < 1e-4
    assert abs(float(inputs.std()) - std) < 1e-4
