"""optbench.data.tensor_source"""

import pytest
import torch
from torch import Tensor

from optbench.data.augment import Augmentation
from optbench.data.normalise import Normaliser
from optbench.data.tensor_source import TensorSource

BOUNDS = [(0, 7), (7, 8), (10, 50)]


def make_source(
    device: torch.device, augmentation: Augmentation | None = None, limit: int = 1 << 30
) -> TensorSource:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (60, 3, 9, 7), dtype=torch.uint8, generator=generator)
    labels = torch.arange(60) % 10
    normaliser = Normaliser([0.49, 0.48, 0.45], [0.25, 0.24, 0.26], device)
    return TensorSource(images.to(device), labels.to(device), normaliser, augmentation, limit)


def order_of(seed: int = 0) -> Tensor:
    return torch.randperm(60, generator=torch.Generator().manual_seed(seed))


def test_batches_hold_the_asked_examples_in_order(device: torch.device) -> None:
    source, order = make_source(device), order_of()
    everything, _ = next(iter(source.stream(torch.arange(60), [(0, 60)])))
    batches = list(source.stream(order, BOUNDS))
    assert len(source) == 60
    assert [len(targets) for _, targets in batches] == [7, 1, 40]
    for (inputs, targets), (start, stop) in zip(batches, BOUNDS, strict=True):
        assert (inputs.dtype, targets.dtype) == (torch.float32, torch.int64)
        assert inputs.device.type == targets.device.type == device.type
        assert torch.equal(targets.cpu(), order[start:stop] % 10)
        assert torch.equal(inputs, everything[order[start:stop].to(device)])


def test_normalised_once_or_by_batch_gives_the_same_bits(device: torch.device) -> None:
    once, by_batch = make_source(device), make_source(device, limit=0)
    augmentable = make_source(device, Augmentation(2, True))
    for expected, *others in zip(
        *(source.stream(order_of(), BOUNDS) for source in (once, by_batch, augmentable)),
        strict=True,
    ):
        for inputs, targets in others:
            assert torch.equal(inputs, expected[0])
            assert torch.equal(targets, expected[1])


def by_example(source: TensorSource, order: Tensor, size: int, key: int | None) -> Tensor:
    """The inputs of examples 0..59, streamed in the given order and batch size."""
    bounds = [(start, min(start + size, 60)) for start in range(0, 60, size)]
    inputs = torch.cat([batch for batch, _ in source.stream(order, bounds, key)])
    return inputs[order.argsort().to(inputs.device)]


def test_an_augmented_example_is_the_same_in_any_batch(device: torch.device) -> None:
    source = make_source(device, Augmentation(2, True))
    first = by_example(source, order_of(0), 13, key=5)
    assert torch.equal(first, by_example(source, order_of(1), 60, key=5))
    assert torch.equal(first, by_example(source, torch.arange(60), 1, key=5))
    assert not torch.equal(first, by_example(source, order_of(0), 13, key=6))
    assert not torch.equal(first, by_example(source, order_of(0), 13, key=None))


def test_augmentation_is_the_same_on_every_device(device: torch.device) -> None:
    sources = [make_source(d, Augmentation(2, True)) for d in (torch.device("cpu"), device)]
    on_cpu, on_device = (by_example(source, order_of(), 13, key=5).cpu() for source in sources)
    torch.testing.assert_close(on_cpu, on_device)


def test_a_key_means_nothing_without_augmentation() -> None:
    source = make_source(torch.device("cpu"))
    assert torch.equal(
        by_example(source, order_of(), 13, key=5), by_example(source, order_of(), 13, key=None)
    )


@pytest.mark.parametrize("augmentation", [None, Augmentation(1, False)])
def test_ready_images_are_not_normalised(augmentation: Augmentation | None) -> None:
    images = torch.rand(5, 1, 2, 2)
    source = TensorSource(images, torch.zeros(5, dtype=torch.int64), None, augmentation)
    inputs, _ = next(iter(source.stream(torch.arange(5), [(1, 3)])))
    assert torch.equal(inputs, images[1:3])


def test_padding_is_a_raw_zero() -> None:
    images = torch.full((40, 1, 3, 3), 255, dtype=torch.uint8)
    normaliser = Normaliser([0.5], [0.25], torch.device("cpu"))
    labels = torch.zeros(40, dtype=torch.int64)
    source = TensorSource(images, labels, normaliser, Augmentation(2, False))
    inputs, _ = next(iter(source.stream(torch.arange(40), [(0, 40)], augment_key=0)))
    assert set(inputs.unique().tolist()) == {-2.0, 2.0}


def test_the_global_generator_is_left_alone() -> None:
    source = make_source(torch.device("cpu"), Augmentation(2, True))
    before = torch.get_rng_state()
    list(source.stream(order_of(), BOUNDS, augment_key=1))
    assert torch.equal(before, torch.get_rng_state())
