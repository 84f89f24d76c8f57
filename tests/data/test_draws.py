"""Draws of gradient noise."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from optbench.data.draws import Draws
from optbench.errors import ArgumentError

CPU = torch.device("cpu")


def rows(draws: Draws, split: str) -> Tensor:
    """All of a split."""
    source = draws.open(split, CPU)
    (batch,) = source.stream(torch.arange(len(source)), [(0, len(source))])
    return batch[0]


def test_with_the_usual_seed_they_are_deepobss() -> None:
    draws = Draws(100, noise=0.6, eval_noise=0.6, val_size=1000)
    for split, seed in (("train", 42), ("val", 43)):
        expected = np.float32(np.random.RandomState(seed).normal(0.0, 0.6, (1000, 100)))
        assert torch.equal(rows(draws, split), torch.from_numpy(expected))


def test_splits_and_seeds_differ_and_a_seed_gives_the_same() -> None:
    draws = Draws(3, 1.0, 1.0, train_size=50, val_size=50, test_size=50)
    parts = [rows(draws, split) for split in ("train", "val", "test")]
    parts.append(rows(Draws(3, 1.0, train_size=50, data_seed=7), "train"))
    for number, part in enumerate(parts):
        assert part.shape == (50, 3) and part.dtype == torch.float32
        assert [torch.equal(part, other) for other in parts] == [n == number for n in range(4)]
    assert torch.equal(rows(Draws(3, 1.0, train_size=50), "train"), parts[0])
    assert (draws.train_size, draws.val_size, draws.test_size) == (50, 50, 50)
    assert draws.input_shape == (3,)


def test_batches_are_the_examples_asked_for() -> None:
    source = Draws(2, 1.0, train_size=9).open("train", CPU)
    everything = rows(Draws(2, 1.0, train_size=9), "train")
    order = torch.tensor([4, 0, 8, 8, 2])
    batches = [batch for (batch,) in source.stream(order, [(0, 2), (1, 5)], augment_key=3)]
    assert torch.equal(batches[0], everything[order[:2]])
    assert torch.equal(batches[1], everything[order[1:5]])


def test_evaluation_is_without_noise_unless_it_is_asked_for() -> None:
    draws = Draws(4, noise=0.5, test_size=3)
    assert rows(draws, "train").std() > 0.4
    assert torch.equal(rows(draws, "val"), torch.zeros(1, 4))
    assert torch.equal(rows(draws, "test"), torch.zeros(3, 4))


def test_a_drift_moves_the_mean_of_training_alone() -> None:
    still = rows(Draws(3, noise=0.5, train_size=5), "train")
    moved = rows(Draws(3, noise=0.5, train_size=5, drift=8.0), "train")
    expected = torch.tensor([0.0, 2.0, 4.0, 6.0, 8.0])[:, None].expand(5, 3)
    assert torch.allclose(moved - still, expected, atol=1e-6)
    assert torch.equal(rows(Draws(3, drift=8.0), "val"), torch.zeros(1, 3))


def test_without_noise_they_take_no_memory() -> None:
    source = Draws(10_000, train_size=10**6).open("train", CPU)
    assert len(source) == 10**6
    batches = source.stream(torch.arange(10**6), [(0, 64), (64, 70)])
    shapes = [(len(batch), batch.untyped_storage().nbytes()) for (batch,) in batches]
    assert shapes == [(64, 40_000), (6, 40_000)]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"dim": None}, "draws: noise for test functions, but the model is none"),
        ({"dim": 2, "train_size": 0}, "train_size=0 must be at least 1"),
        ({"dim": 2, "val_size": -1}, "val_size=-1 must be at least 0"),
        ({"dim": 2, "noise": -0.5}, "noise=-0.5 must not be negative"),
        ({"dim": 2, "eval_noise": float("nan")}, "eval_noise=nan"),
        ({"dim": 2, "drift": float("inf")}, "drift=inf must be a finite number"),
    ],
)
def test_what_makes_no_sense_is_one_line(settings: dict[str, float], says: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        Draws(**settings)  # type: ignore[arg-type]
    assert says in str(caught.value) and "\n" not in str(caught.value)
