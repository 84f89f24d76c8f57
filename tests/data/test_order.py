"""optbench.data.order"""

from itertools import pairwise

import pytest
import torch

from optbench.data.order import epoch_key, epoch_order, share, split_validation


def test_epoch_order_permutes_the_given_indices() -> None:
    indices = torch.tensor([3, 5, 8, 13, 21])
    order = epoch_order(indices, seed=1, epoch=2)
    assert order.dtype == torch.int64
    assert sorted(order.tolist()) == indices.tolist()


def test_epoch_order_depends_on_seed_and_epoch_only() -> None:
    indices = torch.arange(100)
    torch.manual_seed(1)
    first = epoch_order(indices, 0, 0)
    torch.manual_seed(2)
    assert torch.equal(first, epoch_order(indices, 0, 0))
    assert not torch.equal(first, epoch_order(indices, 0, 1))
    assert not torch.equal(first, epoch_order(indices, 1, 0))
    assert not torch.equal(epoch_order(indices, 1, 0), epoch_order(indices, 0, 1))


def test_one_order_for_all_epochs() -> None:
    indices = torch.tensor([3, 5, 8, 13, 21, 34, 55])
    first = epoch_order(indices, 0, 0)
    for epoch in range(3):
        assert torch.equal(epoch_order(indices, 0, epoch, "once"), first)
    assert not torch.equal(epoch_order(indices, 1, 0, "once"), first)
    assert not torch.equal(first, indices)


def test_the_order_of_the_data() -> None:
    indices = torch.tensor([8, 3, 5])
    assert epoch_order(indices, 1, 2, "none").tolist() == [8, 3, 5]


def test_the_global_generator_is_left_alone() -> None:
    before = torch.get_rng_state()
    epoch_order(torch.arange(10), 0, 0)
    split_validation(10, 0.5, 0)
    assert torch.equal(before, torch.get_rng_state())


def test_epoch_keys_are_63_bits_and_differ() -> None:
    keys = {epoch_key(seed, epoch) for seed in range(-5, 5) for epoch in range(10)}
    assert len(keys) == 100
    assert all(0 <= key < 1 << 63 for key in keys)


@pytest.mark.parametrize(("size", "fraction", "count"), [(10, 0.0, 0), (10, 0.26, 3), (7, 0.5, 4)])
def test_split_validation_parts_everything(size: int, fraction: float, count: int) -> None:
    train, validation = split_validation(size, fraction, seed=0)
    assert (len(validation), train.dtype, validation.dtype) == (count, torch.int64, torch.int64)
    assert train.tolist() == sorted(train.tolist())
    assert validation.tolist() == sorted(validation.tolist())
    assert sorted(train.tolist() + validation.tolist()) == list(range(size))


def test_split_validation_depends_on_the_seed() -> None:
    first, again, other = (split_validation(100, 0.5, seed)[1] for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("fraction", [-0.1, 1.0, 1.5, 0.99, float("nan")])
def test_split_validation_keeps_something_to_train_on(fraction: float) -> None:
    with pytest.raises(ValueError, match="fraction="):
        split_validation(10, fraction, 0)


@pytest.mark.parametrize(("count", "parts"), [(10, 3), (2, 4), (0, 2), (128, 8), (7, 1)])
def test_shares_are_contiguous_and_balanced(count: int, parts: int) -> None:
    bounds = [share(count, parts, part) for part in range(parts)]
    assert bounds[0][0] == 0
    assert bounds[-1][1] == count
    assert all(left[1] == right[0] for left, right in pairwise(bounds))
    lengths = [stop - start for start, stop in bounds]
    assert max(lengths) - min(lengths) <= 1
