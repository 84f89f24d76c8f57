"""optbench.data.image_folder and optbench.data.image_source"""

import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from optbench.data.image_folder import ImageFolder, image_folder
from optbench.errors import ArgumentError, UserError

from .image_tree import write_image, write_tree

CPU = torch.device("cpu")


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What optbench logged; Pillow's own lines are there where a test before has asked for them."""
    return [r.getMessage() for r in caplog.records if r.name.startswith("optbench")]


def load(root: Path, **changes: Any) -> ImageFolder:
    settings: dict[str, Any] = {
        "mean": [0.5, 0.4, 0.3],
        "std": [0.2, 0.3, 0.4],
        "size": 16,
        "resize": 20,
        "workers": 0,
    }
    return image_folder(str(root), **(settings | changes))


def inputs_of(dataset: ImageFolder, batches: list[list[int]], key: int | None = None) -> Tensor:
    """The training inputs, example by example in the order of their numbers."""
    order = torch.tensor([index for batch in batches for index in batch])
    bounds, start = [], 0
    for batch in batches:
        bounds.append((start, start + len(batch)))
        start += len(batch)
    inputs = [batch for batch, _ in dataset.open("train", CPU).stream(order, bounds, key)]
    return torch.cat(inputs)[order.argsort()]


def test_sizes_and_batches(tmp_path: Path, device: torch.device) -> None:
    write_tree(tmp_path)
    dataset = load(tmp_path, workers=2)
    assert dataset.input_shape == (3, 16, 16)
    assert (dataset.num_classes, dataset.train_size, dataset.test_size) == (2, 6, 4)
    source = dataset.open("train", device)
    assert len(source) == 6
    batches = list(source.stream(torch.tensor([5, 0, 3, 1]), [(0, 3), (3, 4)]))
    assert [inputs.shape for inputs, _ in batches] == [(3, 3, 16, 16), (1, 3, 16, 16)]
    assert [targets.tolist() for _, targets in batches] == [[1, 0, 1], [0]]
    for inputs, targets in batches:
        assert (inputs.dtype, targets.dtype) == (torch.float32, torch.int64)
        assert inputs.device.type == targets.device.type == device.type


def test_pixels_are_normalised_by_channel(tmp_path: Path) -> None:
    for split in ("train", "val"):
        (tmp_path / split / "white").mkdir(parents=True)
        white = Image.new("RGB", (30, 30), (255, 255, 255))
        white.save(tmp_path / split / "white" / "a.png")
    inputs = inputs_of(load(tmp_path), [[0]])
    expected = (1 - torch.tensor([0.5, 0.4, 0.3])) / torch.tensor([0.2, 0.3, 0.4])
    torch.testing.assert_close(inputs.amax((0, 2, 3)), expected)


def test_crops_depend_on_key_and_example_only(tmp_path: Path) -> None:
    write_tree(tmp_path)
    first = inputs_of(load(tmp_path), [[0, 1, 2], [3, 4, 5]], key=7)
    again = inputs_of(load(tmp_path, workers=3), [[5], [1, 3, 4, 0], [2]], key=7)
    assert torch.equal(first, again)
    assert not torch.equal(first, inputs_of(load(tmp_path), [[0, 1, 2, 3, 4, 5]], key=8))
    assert not torch.equal(first, inputs_of(load(tmp_path), [[0, 1, 2, 3, 4, 5]]))


def test_the_test_split_is_never_augmented(tmp_path: Path) -> None:
    write_tree(tmp_path)
    source = load(tmp_path).open("test", CPU)
    (plain, _), (keyed, _) = (
        next(iter(source.stream(torch.arange(4), [(0, 4)], key))) for key in (None, 1)
    )
    assert torch.equal(plain, keyed)


@pytest.mark.parametrize("workers", [0, 2])
def test_the_global_generator_is_left_alone(tmp_path: Path, workers: int) -> None:
    write_tree(tmp_path)
    before = torch.get_rng_state()
    inputs_of(load(tmp_path, workers=workers), [[0, 1], [2, 3]], key=1)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("workers", [0, 2])
def test_a_corrupt_image_stops_the_stream_with_one_line(tmp_path: Path, workers: int) -> None:
    write_tree(tmp_path)
    (tmp_path / "train" / "dog" / "1.png").write_bytes(b"junk")
    with pytest.raises(UserError, match=r"train/dog/1\.png cannot be read") as caught:
        inputs_of(load(tmp_path, workers=workers), [[0, 1], [3, 4]])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_workers_outlive_a_signal_to_all_processes_of_a_job(
    tmp_path: Path, number: signal.Signals
) -> None:
    write_tree(tmp_path)
    before = set(multiprocessing.active_children())  # other tests' may still be ending
    source = load(tmp_path, workers=1).open("train", CPU)
    stream = source.stream(torch.arange(4), [(n % 4, n % 4 + 1) for n in range(40)])
    next(stream)
    (worker,) = set(multiprocessing.active_children()) - before
    assert worker.pid is not None
    os.kill(worker.pid, number)
    assert len(list(stream)) == 39


def test_a_stream_may_be_left_early_or_be_empty(tmp_path: Path) -> None:
    write_tree(tmp_path)
    source = load(tmp_path, workers=2).open("train", CPU)
    next(iter(source.stream(torch.arange(6), [(0, 2), (2, 4), (4, 6)])))
    assert list(source.stream(torch.arange(6), [])) == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mean": [0.5]}, "mean has 1"),
        ({"size": 0}, "size=0"),
        ({"resize": -3}, "resize=-3"),
        ({"workers": -1}, "workers=-1"),
        ({"prefetch": 0}, "prefetch=0"),
        ({"min_area": 0.0}, "min_area=0.0"),
        ({"min_area": 1.5}, "min_area=1.5"),
        ({"train_dir": "other"}, "no images in .*other"),
    ],
)
def test_settings_without_sense_are_named(
    tmp_path: Path, settings: dict[str, Any], message: str
) -> None:
    write_tree(tmp_path)
    with pytest.raises(ArgumentError, match=message):
        load(tmp_path, **settings)


def test_test_classes_must_be_training_classes(tmp_path: Path) -> None:
    write_tree(tmp_path)
    write_image(tmp_path / "val" / "eel" / "a.png")
    with pytest.raises(UserError, match="val/eel is not among the 2 training classes"):
        load(tmp_path)


def clear_some(root: Path, split: str) -> None:
    """Makes two of a split's images transparent, one of several frames."""
    for name in ("cat/1.png", "dog/1.png"):
        Image.new("RGBA", (30, 30), (0, 0, 0, 0)).save(root / split / name)
    frames = [Image.new("RGB", (30, 30), (value,) * 3) for value in (0, 99)]
    path = root / split / "cat" / "2.png"
    frames[0].save(path, save_all=True, append_images=frames[1:])


@pytest.mark.parametrize("workers", [0, 1])
def test_what_is_odd_is_warned_of_once_with_counts(
    tmp_path: Path, workers: int, caplog: pytest.LogCaptureFixture
) -> None:
    write_tree(tmp_path)
    clear_some(tmp_path, "train")
    source = load(tmp_path, workers=workers).open("train", CPU)
    every = torch.arange(7)
    list(source.stream(every, [(0, 2)]))  # a look at two examples is no epoch
    assert said(caplog) == []
    for epoch in range(2):
        list(source.stream(every, [(0, 4), (4, 7)], epoch))
    about = f"{tmp_path}/train"
    assert said(caplog) == [
        f"{about}: 2 of 7 images have transparent parts, which lie on grey level 255"
        " (background of the data set)",
        f"{about}: 1 of 7 images have several frames or pages, of which the first is taken",
    ]


def test_an_epoch_that_is_broken_off_says_what_it_saw(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_tree(tmp_path)
    clear_some(tmp_path, "val")
    source = load(tmp_path).open("test", CPU)
    stream = source.stream(torch.arange(4), [(0, 2), (2, 4)])
    next(stream)
    stream.close()
    stream = source.stream(torch.arange(4), [(0, 1), (1, 4)])  # sees less
    next(stream)
    stream.close()
    assert said(caplog) == []
    for _ in range(2):
        source.end()
    assert [message.partition(": ")[2][:16] for message in said(caplog)] == ["1 of 2 images ha"]


@pytest.mark.parametrize("closed", [True, False])
def test_a_look_at_the_first_batch_does_not_spoil_the_count(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, closed: bool
) -> None:
    write_tree(tmp_path)
    clear_some(tmp_path, "train")
    source = load(tmp_path).open("train", CPU)
    look = source.stream(torch.arange(7), [(0, 2), (2, 7)], 0)
    next(look)
    look.close()
    epoch = source.stream(torch.arange(7), [(0, 4), (4, 7)], 0)
    for _ in range(2):  # a run's last step asks for no more
        next(epoch)
    if closed:
        epoch.close()
    else:
        assert next(epoch, None) is None
    source.end()
    assert [message.partition(": ")[2][:16] for message in said(caplog)] == [
        *("2 of 7 images ha", "1 of 7 images ha")
    ]


def test_classes_without_a_test_image_are_noted(tmp_path: Path) -> None:
    write_tree(tmp_path)
    write_image(tmp_path / "train" / "eel" / "0.png")
    write_image(tmp_path / "train" / "eel" / "in" / "0.png")
    dataset = load(tmp_path)
    assert (dataset.train_size, dataset.num_classes) == (8, 3)
    assert dataset.notes == (f"{tmp_path}/val has no images of 1 of the 3 classes: eel",)


def test_a_fingerprint_follows_from_the_files(tmp_path: Path) -> None:
    write_tree(tmp_path)
    before = load(tmp_path).fingerprint
    assert load(tmp_path).fingerprint == before
    (tmp_path / "train" / "cat" / "0.jpg").rename(tmp_path / "train" / "dog" / "00.jpg")
    assert load(tmp_path).fingerprint != before
    with pytest.raises(ArgumentError, match=r"background=256 must be 0 to 255"):
        load(tmp_path, background=256)
