"""Made-up rare features."""

from __future__ import annotations

import pytest
import torch

from optbench.data.dataset import Split
from optbench.data.rare_features import rare_features
from optbench.errors import ArgumentError

CPU = torch.device("cpu")


def images(power: float, split: Split = "train", data_seed: int = 0) -> tuple[torch.Tensor, ...]:
    made = rare_features(features=20, power=power, train_size=4000, data_seed=data_seed)
    source = made.open(split, CPU)
    (batch,) = source.stream(torch.arange(len(source)), [(0, len(source))])
    return tuple(batch)


def test_features_are_on_as_often_as_the_law_says() -> None:
    for power in (0.0, 1.0):
        inputs, labels = images(power)
        assert inputs.shape == (4000, 1, 1, 20) and set(inputs.unique().tolist()) == {0.0, 1.0}
        expected = 0.5 * torch.arange(1.0, 21.0) ** -power
        assert torch.allclose(inputs.mean((0, 1, 2)), expected, atol=0.03)
        assert len(labels.unique()) == 10


def test_a_seed_gives_the_same_and_others_differ() -> None:
    (one, ones), (again, agains) = images(1.0), images(1.0)
    assert torch.equal(one, again) and torch.equal(ones, agains)
    assert not torch.equal(one, images(1.0, data_seed=1)[0])
    assert not torch.equal(one[:1000], images(1.0, "test")[0])


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"features": 0}, "rare_features: features=0 must be at least 1"),
        ({"power": -1.0}, "rare_features: power=-1.0 must not be negative"),
        ({"num_classes": 1}, "rare_features: num_classes=1 must be at least 2"),
    ],
)
def test_what_makes_no_sense_is_one_line(settings: dict[str, float], said: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        rare_features(**settings)  # type: ignore[arg-type]
    assert str(caught.value) == said
