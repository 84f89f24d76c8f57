"""optbench.data.text: texts as windows of ids."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from optbench.data.download import md5_of
from optbench.data.text import TextDataset, text, tiny_shakespeare
from optbench.data.text_file import read_bytes, read_characters
from optbench.errors import ArgumentError

CPU = torch.device("cpu")
LINE = "the quick brown fox jumps over the lazy dog\n"


def written(folder: Path, content: str | bytes) -> str:
    path = folder / "some.txt"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


def all_of(dataset: TextDataset, split: Any, device: torch.device = CPU) -> tuple[Tensor, Tensor]:
    source = dataset.open(split, device)
    return next(iter(source.stream(torch.arange(len(source)), [(0, len(source))])))


def said(dataset: TextDataset, ids: Tensor) -> str:
    return "".join(dataset.vocabulary[i] for i in ids.flatten().tolist())


def test_windows_side_by_side_say_the_text_again(tmp_path: Path, device: torch.device) -> None:
    content = LINE * 10  # 440 characters: 396 to train on
    dataset = text(written(tmp_path, content), context=10)
    assert dataset.vocabulary == sorted(set(content))
    assert (dataset.input_shape, dataset.num_classes) == ((10,), 28)
    assert (dataset.train_size, dataset.val_size, dataset.test_size) == (39, 4, 0)
    for split, first in (("train", 0), ("val", 396)):
        inputs, targets = all_of(dataset, split, device)
        assert inputs.dtype == targets.dtype == torch.int64
        assert inputs.device.type == device.type
        assert said(dataset, inputs) == content[first : first + inputs.numel()]
        assert said(dataset, targets) == content[first + 1 : first + 1 + inputs.numel()]


def test_stride_1_has_a_window_at_every_place_of_the_training_part(tmp_path: Path) -> None:
    content = LINE * 10
    dataset = text(written(tmp_path, content), context=10, stride=1)
    # as nanoGPT draws them: from 0 to length - context - 1
    assert (dataset.train_size, dataset.val_size) == (396 - 10, 4)
    source = dataset.open("train", CPU)
    order = torch.tensor([385, 0, 7])
    batches = list(source.stream(order, [(0, 2), (2, 3)]))
    assert [len(inputs) for inputs, _ in batches] == [2, 1]
    assert said(dataset, batches[0][0][0]) == content[385:395]
    assert said(dataset, batches[0][1][0]) == content[386:396]
    assert said(dataset, batches[1][0]) == content[7:17]
    assert dataset.open("train", CPU) is source


def test_val_fraction_0_trains_on_everything(tmp_path: Path) -> None:
    dataset = text(written(tmp_path, "abcde"), context=4, val_fraction=0.0)
    assert (dataset.train_size, dataset.val_size) == (1, 0)
    assert [said(dataset, part) for part in all_of(dataset, "train")] == ["abcd", "bcde"]


def test_characters_are_those_of_the_file_whatever_they_are(tmp_path: Path) -> None:
    content = "Straße, naïve 𝄞\r\n" * 3
    found = read_characters(Path(written(tmp_path, content)))
    assert found.vocabulary == sorted(set(content))
    assert "".join(found.vocabulary[i] for i in found.ids) == content
    assert found.ids.dtype == np.uint8


def test_many_characters_have_wider_ids(tmp_path: Path) -> None:
    for count, dtype in ((257, np.int16), (40000, np.int32)):
        content = "".join(chr(0x10000 + i) for i in range(count))
        found = read_characters(Path(written(tmp_path, content)))
        assert found.ids.dtype == dtype
        assert np.array_equal(found.ids, np.arange(count))


def test_bytes_are_their_own_ids(tmp_path: Path) -> None:
    content = bytes(range(256)) * 2
    dataset = text(written(tmp_path, content), by="bytes", context=40)
    assert dataset.num_classes == len(dataset.vocabulary) == 256
    assert dataset.vocabulary[65] == "A"
    assert dataset.vocabulary[10] == "\n"
    assert [dataset.vocabulary[i] for i in (0xE9, 27, 127)] == ["\\xe9", "\\x1b", "\\x7f"]
    inputs, _ = all_of(dataset, "train")
    assert bytes(inputs.flatten().tolist()) == content[:440]


def test_a_large_file_is_mapped_and_gives_the_same(tmp_path: Path, device: torch.device) -> None:
    path = Path(written(tmp_path, LINE * 20))
    mapped, read = read_bytes(path, mapped_from=100), read_bytes(path)
    assert (mapped.mapped, read.mapped) == (True, False)
    assert not mapped.ids.flags.writeable
    sets = [TextDataset("some.txt", found, 16, 3, 0.2) for found in (mapped, read)]
    for split in ("train", "val"):
        one, other = (all_of(dataset, split, device) for dataset in sets)
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
        assert one[0].device.type == device.type


@pytest.mark.parametrize(
    ("content", "settings", "message"),
    [
        ("", {}, "some.txt': the file is empty"),
        ("", {"by": "bytes"}, "some.txt': the file is empty"),
        (b"caf\xe9 au lait" * 20, {}, "byte 3 is 0xe9; by='bytes' takes any file"),
        (
            "a" * 71,
            {"val_fraction": 0.0, "context": 71},
            "needs 72 ids.* training part has 71 .* up to 70",
        ),
        ("a" * 200, {}, "context=64 needs 65 ids.* validation part has 20 of.* 200"),
        (
            "a" * 999,
            {"by": "byte"},
            "by='byte' is not known; did you mean bytes.*one of characters, bytes",
        ),
        ("a" * 999, {"by": "words"}, "by='words' is not known .one of characters, bytes"),
        ("a" * 999, {"context": 0}, "context=0 must be a whole number, at least 1"),
        ("a" * 999, {"stride": 0}, "stride=0 must"),
        ("a" * 999, {"stride": "no"}, "stride='no' must"),
    ],
)
def test_what_cannot_be_read_is_one_line(
    tmp_path: Path, content: str | bytes, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ArgumentError, match=message) as caught:
        text(written(tmp_path, content), **settings)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"path=.*nowhere.txt': no such file"):
        text(str(tmp_path / "nowhere.txt"))
    with pytest.raises(ArgumentError, match=r"path=None: .* name the file, path='FILE'"):
        text()
    with pytest.raises(ArgumentError, match="not a file"):
        text(str(tmp_path), by="bytes")


def test_a_text_has_no_test_set(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no test set, only train and val"):
        text(written(tmp_path, LINE * 20)).open("test", CPU)


def test_tiny_shakespeare_is_nanogpts(data_root: str) -> None:
    dataset = tiny_shakespeare(data_root, "", "", download=False, stride=1)
    assert dataset.num_classes == 65
    assert dataset.train_size == 1003854 - 64
    assert dataset.val_size == (111540 - 1) // 64
    inputs, _ = next(iter(dataset.open("val", CPU).stream(torch.arange(1), [(0, 1)])))
    assert said(dataset, inputs).startswith("?\n\nGREMIO:\nGood morrow")


def test_tiny_shakespeare_is_downloaded_once(tmp_path: Path) -> None:
    source = Path(written(tmp_path, LINE * 50))
    root = tmp_path / "root"
    dataset = tiny_shakespeare(str(root), source.as_uri(), md5_of(source))
    assert dataset.num_classes == 28
    source.unlink()
    assert tiny_shakespeare(str(root), source.as_uri(), "").train_size == dataset.train_size
