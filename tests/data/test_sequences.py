"""optbench.data.sequences: the adding problem and the copy task."""

from typing import Any

import pytest
import torch
from torch import Tensor

from optbench.data.sequences import AddingProblem, CopyTask, MadeSequences
from optbench.errors import ArgumentError

SIZES = {"train_size": 2000, "val_size": 100, "test_size": 50}


def all_of(
    dataset: MadeSequences, split: Any, device: torch.device | str = "cpu"
) -> tuple[Tensor, Tensor]:
    source = dataset.open(split, torch.device(device))
    return next(iter(source.stream(torch.arange(len(source)), [(0, len(source))])))


@pytest.mark.parametrize("length", [50, 7, 2])
def test_adding_marks_one_number_of_each_half(length: int, device: torch.device) -> None:
    dataset = AddingProblem(length, **SIZES)
    assert (dataset.input_shape, dataset.num_classes) == ((length, 2), 1)
    inputs, targets = all_of(dataset, "train", device)
    assert inputs.shape == (2000, length, 2)
    assert (targets.shape, targets.dtype) == ((2000, 1), torch.float32)
    assert inputs.device.type == targets.device.type == device.type
    numbers, markers = inputs.unbind(dim=2)
    assert numbers.min() >= 0
    assert numbers.max() < 1
    for half in (markers[:, : length // 2], markers[:, length // 2 :]):
        assert torch.equal(half.sum(dim=1), torch.ones(2000, device=device))
        assert (half.sum(dim=0) > 0).all()  # every place has its turn
    torch.testing.assert_close((numbers * markers).sum(dim=1, keepdim=True), targets)


def test_adding_is_worth_a_sixth_to_who_does_not_look() -> None:
    _, targets = all_of(AddingProblem(50, train_size=50000), "train")
    assert float((targets - 1).square().mean()) == pytest.approx(1 / 6, rel=0.02)


def test_copy_wants_the_symbols_again_after_the_delimiter() -> None:
    dataset = CopyTask(length=5, symbols=4, remember=3, **SIZES)
    assert (dataset.input_shape, dataset.num_classes) == ((11,), 6)
    inputs, targets = all_of(dataset, "train")
    assert inputs.dtype == targets.dtype == torch.int64
    assert torch.equal(inputs[:, :3], targets)
    assert targets.unique().tolist() == [0, 1, 2, 3]
    blank, delimiter = 4, 5
    wait = [blank] * 4 + [delimiter] + [blank] * 3  # the delimiter is 5 steps after the symbols
    assert torch.equal(inputs[:, 3:], torch.tensor(wait).expand(2000, -1))


@pytest.mark.parametrize("kind", [AddingProblem, CopyTask])
def test_data_seed_alone_decides(kind: type[AddingProblem] | type[CopyTask]) -> None:
    def inputs(split: str = "val", **settings: Any) -> Tensor:
        return all_of(kind(8, **{**SIZES, **settings}), split)[0]

    torch.manual_seed(1)
    first = inputs()
    torch.manual_seed(2)
    state = torch.get_rng_state()
    assert torch.equal(first, inputs())
    assert torch.equal(first, inputs(train_size=7))
    assert torch.equal(state, torch.get_rng_state())
    assert not torch.equal(first, inputs(data_seed=1))
    assert not torch.equal(first[:50], inputs("test"))
    assert not torch.equal(first, inputs("train")[:100])


def test_splits_have_their_sizes() -> None:
    dataset = CopyTask(**SIZES)
    sizes = (dataset.train_size, dataset.val_size, dataset.test_size)
    opened = [len(dataset.open(split, torch.device("cpu"))) for split in ("train", "val", "test")]
    assert opened == list(sizes) == [2000, 100, 50]


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        (AddingProblem, {"length": 1}, "length=1 .* one place for each marker"),
        (AddingProblem, {"train_size": 0}, "train_size=0"),
        (CopyTask, {"length": 0}, "length=0"),
        (CopyTask, {"symbols": 1}, "symbols=1"),
        (CopyTask, {"remember": 0}, "remember=0"),
        (CopyTask, {"val_size": -1}, "val_size=-1"),
        (CopyTask, {"test_size": -1}, "test_size=-1"),
    ],
)
def test_settings_without_sense_are_named(
    kind: type[MadeSequences], settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ArgumentError, match=message):
        kind(**settings)  # type: ignore[arg-type]
