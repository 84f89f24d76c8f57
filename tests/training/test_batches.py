"""optbench.training.batches"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from optbench.training.batches import BatchStream, StepBatch

INDICES = torch.arange(100, 147)
"""47 examples: with batches of 10, five steps, the last of 7."""


class Numbers:
    """A source whose examples are their own numbers, and which tells when it is asked."""

    def __init__(self) -> None:
        self.drawn = 0
        self.keys: list[int | None] = []

    def __len__(self) -> int:
        return 1000

    def stream(
        self, indices: Tensor, bounds: Sequence[tuple[int, int]], augment_key: int | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        self.keys.append(augment_key)
        for start, stop in bounds:
            self.drawn += 1
            yield indices[start:stop].float(), indices[start:stop]


def feed(**changes: Any) -> BatchStream:
    given: dict[str, Any] = {"batch_size": 10, "accumulate": 1, "seed": 0} | changes
    return BatchStream(Numbers(), INDICES, **given)


def examples(work: StepBatch) -> list[int]:
    """The examples of a rank's share that count."""
    return [n for batch, weight in work.micros if weight for n in batch[1].tolist()]


def steps(made: BatchStream, epoch: int = 0, start: int = 0) -> list[list[int]]:
    return [examples(work) for work in made.epoch(epoch, start)]


def joined(batches: Iterable[list[int]]) -> list[int]:
    return [example for batch in batches for example in batch]


def test_an_epoch_uses_every_example_once() -> None:
    batches = steps(feed())
    assert [len(batch) for batch in batches] == [10, 10, 10, 10, 7]
    assert sorted(joined(batches)) == INDICES.tolist()
    assert joined(batches) != INDICES.tolist()


def test_the_examples_of_a_step_over_all_ranks() -> None:
    for rank in (0, 1):
        assert [work.examples for work in feed(ranks=2, rank=rank).epoch(0)] == [10, 10, 10, 10, 7]


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    orders = [tuple(joined(steps(feed(seed=seed), epoch))) for seed in (0, 1) for epoch in (0, 1)]
    assert len(set(orders)) == 4


def test_one_order_for_all_epochs_or_that_of_the_data() -> None:
    once = feed(shuffle="once")
    assert steps(once, 0) == steps(once, 1) == steps(feed(), 0)
    assert joined(steps(feed(shuffle="none"), 1)) == INDICES.tolist()


@pytest.mark.parametrize("start", range(6))
def test_any_position_is_the_rest_of_the_epoch(start: int) -> None:
    assert steps(feed(accumulate=3), 2, start) == steps(feed(accumulate=3), 2)[start:]


def test_positions_do_not_depend_on_what_was_drawn_before() -> None:
    torch.manual_seed(1)
    one = steps(feed(), 3)
    torch.rand(10)
    before = torch.get_rng_state()
    assert steps(feed(), 3) == one
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("ranks", [1, 2, 3])
@pytest.mark.parametrize("accumulate", [1, 2, 4, 20])
def test_shares_and_micro_batches_are_the_same_batch(ranks: int, accumulate: int) -> None:
    shares = [steps(feed(ranks=ranks, rank=r, accumulate=accumulate)) for r in range(ranks)]
    together = [joined(parts) for parts in zip(*shares, strict=True)]
    assert together == steps(feed())


@pytest.mark.parametrize("ranks", [1, 2, 3, 8])
@pytest.mark.parametrize("accumulate", [1, 3, 20])
def test_weights_give_the_mean_over_the_batch(ranks: int, accumulate: int) -> None:
    """A rank's sum of weighted means, averaged over ranks, is the batch's mean."""
    expected = [torch.tensor(batch).float().mean().item() for batch in steps(feed())]
    means = torch.zeros(5)
    for rank in range(ranks):
        for number, work in enumerate(feed(ranks=ranks, rank=rank, accumulate=accumulate).epoch(0)):
            means[number] += sum(batch[0].mean() * weight for batch, weight in work.micros) / ranks
    assert means.tolist() == pytest.approx(expected, rel=1e-6)


def test_a_rank_without_a_share_works_at_weight_zero() -> None:
    """Its forward and backward passes are awaited by the others."""
    (work,) = [w for w in BatchStream(Numbers(), INDICES[:1], 10, ranks=2, rank=0).epoch(0)]
    micros = list(work.micros)
    assert work.parts == len(micros) == 1
    assert micros[0].weight == 0.0 and len(micros[0].batch[1]) == 1


def test_the_count_is_that_of_the_micro_batches() -> None:
    counts = []
    for work in feed(accumulate=8).epoch(0):
        counts.append(work.parts)
        assert len(list(work.micros)) == work.parts
    assert counts == [8, 8, 8, 8, 7]


def test_micro_batches_are_drawn_when_they_are_needed() -> None:
    made = feed(accumulate=5)
    source = made.source
    assert isinstance(source, Numbers)
    work = next(made.epoch(0))
    assert source.drawn == 0
    next(iter(work.micros))
    assert source.drawn == 1


def test_repeatable_work_can_be_looked_at_again() -> None:
    work = next(feed(accumulate=2).epoch(0))
    again = work.repeatable()
    assert examples(again) == examples(again)
    assert len(examples(again)) == 10
    assert examples(work) == []


def test_the_augmentation_key_is_the_epochs() -> None:
    keys = []
    for seed, epoch, rank in [(0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0)]:
        made = feed(seed=seed, ranks=2, rank=rank)
        steps(made, epoch, start=rank)
        assert isinstance(made.source, Numbers)
        keys += made.source.keys
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3 and None not in keys
