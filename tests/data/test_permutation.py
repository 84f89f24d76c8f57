"""An order of very many examples, computed and not stored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, pairwise

import pytest
import torch
from torch import Tensor

import optbench.training.batches as batches_module
from optbench.data.order import part_of_order
from optbench.data.permutation import LARGE, Span, all_of, permuted
from optbench.training.batches import BatchStream


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 63, 64, 65, 1000, 4097, 70_000])
@pytest.mark.parametrize("word", [0, 7])
def test_every_place_has_another_example(size: int, word: int) -> None:
    found = permuted(torch.arange(size), size, word)
    assert torch.equal(found.sort().values, torch.arange(size))


def test_a_place_is_what_it_is_among_all() -> None:
    size = 3 * 10**9 + 1
    places = torch.tensor([0, 1, size - 1, 17, 2**31])
    whole = permuted(places, size, 5)
    each = torch.cat([permuted(place[None], size, 5) for place in places])
    assert torch.equal(whole, each)
    assert int(whole.min()) >= 0 and int(whole.max()) < size and len(whole.unique()) == 5


def test_it_looks_drawn() -> None:
    """Mean rank, neighbours, and fixed points as those of a random permutation."""
    size = 20_000
    found = permuted(torch.arange(size), size, 3).double()
    ascending = (found[1:] > found[:-1]).double().mean()
    correlation = torch.corrcoef(torch.stack([torch.arange(size).double(), found]))[0, 1]
    assert abs(float(ascending) - 0.5) < 0.02
    assert abs(float(correlation)) < 5 / size**0.5
    assert int((found == torch.arange(size)).sum()) < 8
    other = permuted(torch.arange(size), size, 4).double()
    assert abs(float(torch.corrcoef(torch.stack([found, other]))[0, 1])) < 5 / size**0.5
    parts = torch.histc(found[: size // 10], 10, 0, size)  # a tenth of them, by tenths
    assert float(((parts - 200) ** 2 / 200).sum()) < 33  # chi squared of 9, p = 1e-4


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    places = torch.arange(100)
    orders = [part_of_order(100, places, s, e) for s in (0, 1) for e in (0, 1)]
    assert len({tuple(order.tolist()) for order in orders}) == 4
    once = [part_of_order(100, places, 0, e, "once") for e in (0, 1)]
    assert torch.equal(*once) and torch.equal(once[0], orders[0])
    assert torch.equal(part_of_order(100, places, 0, 3, "none"), places)


def test_a_span_is_indexed_as_the_tensor_that_it_stands_for() -> None:
    span, tensor = Span(10), torch.arange(10)
    assert len(span) == 10
    for which in (slice(2, 5), slice(None), slice(7, 99), slice(0, 0), torch.tensor([3, 1])):
        assert torch.equal(span[which], tensor[which])
    assert isinstance(all_of(LARGE + 1), Span) and isinstance(all_of(9), Tensor)


class Numbers:
    """A source of example numbers."""

    def __len__(self) -> int:
        return 103

    def stream(
        self, indices: Tensor, bounds: Sequence[tuple[int, int]], augment_key: int | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        for start, stop in bounds:
            yield indices[start:stop], torch.zeros(stop - start)


def stream(**words: int | bool) -> BatchStream:
    return BatchStream(Numbers(), Span(103), 10, seed=4, **words)  # type: ignore[arg-type]


def seen(of: BatchStream, start: int = 0) -> list[list[list[int]]]:
    return [[m.batch[0].tolist() for m in step.micros] for step in of.epoch(1, start)]


def test_steps_are_the_same_from_any_place_and_however_they_are_cut(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = seen(stream())
    flat = [number for step in whole for micro in step for number in micro]
    assert sorted(flat) == list(range(103)) and len(whole) == 11 and len(whole[-1][0]) == 3
    monkeypatch.setattr(batches_module, "AT_ONCE", 30)
    assert seen(stream()) == whole
    assert seen(stream(), start=5) == whole[5:]
    cut = seen(stream(accumulate=3), start=2)
    assert [list(chain.from_iterable(step)) for step in cut] == [step[0] for step in whole[2:]]
    ranks = [seen(stream(ranks=2, rank=rank)) for rank in (0, 1)]
    together = [a[0] + b[0] for a, b in zip(*ranks, strict=True)]
    assert together[:10] == [step[0] for step in whole[:10]]


def test_lanes_go_on_where_the_step_before_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches_module, "AT_ONCE", 30)
    steps = [
        next(iter(step.micros)).batch.batch[0].tolist()  # type: ignore[union-attr]
        for step in stream(lanes=True).epoch(0)
    ]
    assert steps[0] == [10 * lane for lane in range(10)]
    assert all(b == [x + 1 for x in a] for a, b in pairwise(steps))
