"""Map-style data sets of torch: order, draws, workers, and what they tell of themselves."""

from __future__ import annotations

import random
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset

from optbench.data.image_settings import Loading
from optbench.data.item_source import ItemSource, moved
from optbench.data.items import Items, lacking
from optbench.errors import UserError

CPU = torch.device("cpu")
ALONE = Loading(0, 2)


class Drawing(Dataset[Any]):
    """Each example draws from all three global generators."""

    def __init__(self, size: int = 12) -> None:
        self.size = size

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> dict[str, Any]:
        drawn = (torch.rand(3), random.random(), np.random.rand())
        return {"index": index, "drawn": drawn, "name": f"example {index}"}


def plain(batch: Any) -> Any:
    """A batch as plain data."""
    if isinstance(batch, Tensor):
        return batch.tolist()
    if isinstance(batch, dict):
        return {key: plain(value) for key, value in batch.items()}
    return [plain(part) for part in batch] if isinstance(batch, list | tuple) else batch


def stream(source: ItemSource, order: list[int], size: int, key: int | None = None) -> list[Any]:
    bounds = [(start, min(start + size, len(order))) for start in range(0, len(order), size)]
    return [plain(batch) for batch in source.stream(torch.tensor(order), bounds, key)]


def test_batches_are_those_of_torchs_own_loader() -> None:
    data = TensorDataset(torch.randn(10, 3), torch.arange(10))
    order = torch.randperm(10).tolist()
    expected = [plain(batch) for batch in DataLoader(Subset(data, order), batch_size=4)]
    assert stream(ItemSource(data, ALONE, CPU), order, 4) == expected


def test_draws_follow_from_key_and_example_alone() -> None:
    source = ItemSource(Drawing(), ALONE, CPU)
    by_one = [batch["drawn"][0][0] for batch in stream(source, list(range(12)), 1, 7)]
    whole = stream(source, list(reversed(range(12))), 12, 7)[0]["drawn"][0]
    assert by_one == list(reversed(whole))
    assert by_one != [b["drawn"][0][0] for b in stream(source, list(range(12)), 1, 8)]
    assert len({tuple(row) for row in by_one}) == 12
    assert stream(source, [3, 1], 2) == stream(source, [3, 1], 2)


class Rarely(Drawing):
    """Some examples draw, from one of the generators each."""

    def __getitem__(self, index: int) -> Any:
        draws: list[Any] = [
            random.random,
            np.random.rand,
            lambda: float(torch.rand(1)),
            np.ones(1).sum,
        ]
        return draws[index % 4]()


def test_examples_that_seldom_draw_draw_the_same_in_any_batch() -> None:
    def drawn(order: list[int], size: int) -> dict[int, Any]:
        batches = stream(ItemSource(Rarely(), ALONE, CPU), order, size, 3)
        found = [each for batch in batches for each in batch]
        return dict(zip(order, found, strict=True))

    order = [3, 7, 11, 0, 1, 2, 4, 5, 6]
    assert drawn(order, 1) == drawn(order, 2) == drawn(order[::-1], 3)


def test_workers_change_nothing() -> None:
    order = [5, 1, 4, 0, 2, 3, 9]
    alone = stream(ItemSource(Drawing(), ALONE, CPU), order, 2, 3)
    assert stream(ItemSource(Drawing(), Loading(2, 2), CPU), order, 2, 3) == alone


@pytest.mark.parametrize("workers", [0, 1])
def test_the_global_generators_are_left_alone(workers: int) -> None:
    torch.manual_seed(1)
    random.seed(1)
    np.random.seed(1)
    expected = torch.rand(1), random.random(), np.random.rand()
    torch.manual_seed(1)
    random.seed(1)
    np.random.seed(1)
    source = ItemSource(Drawing(), Loading(workers, 1), CPU)
    stream(source, [0, 1, 2, 3], 2, 5)
    _ = Items({"train": Drawing()}, ALONE).fingerprint
    assert (torch.rand(1), random.random(), np.random.rand()) == expected


class Ragged(Drawing):
    def __getitem__(self, index: int) -> Tensor:  # type: ignore[override]
        return torch.zeros(index + 1)


@pytest.mark.parametrize("workers", [0, 1])
def test_examples_that_make_no_batch_are_told_in_one_line(workers: int) -> None:
    source = ItemSource(Ragged(), Loading(workers, 1), CPU)
    with pytest.raises(UserError, match=r"^dataset: examples 0, 1 of Ragged do not make a") as told:
        stream(source, [0, 1, 2, 3], 2)
    assert "\n" not in str(told.value)


class Strange(Exception):
    """Can't be made again from what it keeps."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


class Broken(Drawing):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def __getitem__(self, index: int) -> dict[str, Any]:
        if index == 3:
            raise self.error
        return super().__getitem__(index)


@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_in_an_example_is_what_was_raised(workers: int) -> None:
    source = ItemSource(Broken(KeyError("file 3")), Loading(workers, 1), CPU)
    with pytest.raises(KeyError) as told:
        stream(source, [0, 1, 2, 3], 2)
    assert str(told.value) == "'file 3'"
    if workers:
        assert "in __getitem__" in told.value.__notes__[0]


def test_one_that_can_not_be_sent_is_told_by_name() -> None:
    source = ItemSource(Broken(Strange(1, 2)), Loading(1, 1), CPU)
    with pytest.raises(RuntimeError) as told:
        stream(source, [0, 1, 2, 3], 2)
    assert str(told.value) == "Strange: 1 and 2"


class Pair(NamedTuple):
    x: Tensor
    y: list[Tensor]


def test_every_tensor_of_a_batch_is_moved() -> None:
    meta = torch.device("meta")
    batch = {"pair": Pair(torch.zeros(2), [torch.ones(1)]), "names": ["a", "b"], "of": (1,)}
    found = moved(batch, meta)
    assert isinstance(found["pair"], Pair) and found["of"] == (1,) and found["names"] == ["a", "b"]
    assert found["pair"].x.device == found["pair"].y[0].device == meta


class Told(Drawing):
    def __init__(self, target: Any, **told: Any) -> None:
        super().__init__(4)
        self.target = target
        vars(self).update(told)

    def __getitem__(self, index: int) -> Any:
        return torch.zeros(2, 3), self.target


@pytest.mark.parametrize(
    ("data", "classes"),
    [
        (Told(1, num_classes=7), 7),
        (Told(1, classes=["cat", "dog", "cow"]), 3),
        (Told(1, targets=[0, 4, 1]), 5),
        (Told(1, labels=torch.tensor([0, 1])), 2),
        (TensorDataset(torch.zeros(3, 2), torch.tensor([0, 1, 3])), 4),
        (TensorDataset(torch.zeros(3, 2), torch.zeros(3, 6)), 6),
        (Told(0.5), 1),
        (Told(torch.zeros(())), 1),
        (Told(1), 0),
        (Told("cat"), 0),
    ],
)
def test_how_many_classes_there_are(data: Any, classes: int) -> None:
    found = Items({"train": data}, ALONE)
    assert (found.num_classes, found.train_size, found.test_size) == (classes, len(data), 0)
    assert Items({"train": data}, ALONE, num_classes=9).num_classes == 9


def test_the_fingerprint_is_of_the_examples() -> None:
    x, y = torch.arange(20.0).reshape(10, 2), torch.arange(10)

    def fingerprint(x: Tensor) -> str:
        return Items({"train": TensorDataset(x, y)}, Loading(2, 2)).fingerprint

    assert fingerprint(x) == fingerprint(x.clone()) != fingerprint(x + 1)
    assert fingerprint(x.bfloat16()) != fingerprint(x)


class NoItem(Dataset[Any]):
    def __len__(self) -> int:
        return 3


class Streaming(IterableDataset[Any]):
    def __iter__(self) -> Any:
        return iter(())


@pytest.mark.parametrize(
    ("items", "why"),
    [
        (NoItem(), "has no __getitem__"),
        (Streaming(), "has no __len__"),
        (None, "has no __len__"),
        ([], "has no examples"),
        ([1], None),
    ],
)
def test_what_is_no_map_style_data_set(items: Any, why: str | None) -> None:
    assert lacking(items) == why
