"""optbench.data.image_files"""

from pathlib import Path

import pytest

from optbench.data.image_files import scan_classes, scan_images
from optbench.errors import UserError

from .image_tree import write_tree


def test_images_are_found_by_class_and_name(tmp_path: Path) -> None:
    write_tree(tmp_path)
    train = tmp_path / "train"
    (train / "README.txt").write_text("not a class", encoding="utf-8")
    (train / "cat" / "notes.txt").write_text("not an image", encoding="utf-8")
    (train / ".hidden").mkdir()
    classes = scan_classes(train)
    files = scan_images(train, classes)
    assert classes == ["cat", "dog"]
    assert files.labels.tolist() == [0, 0, 0, 1, 1, 1]
    names = ["0.jpg", "1.png", "2.JPEG"]
    expected = [str(train / label / name) for label in classes for name in names]
    assert [files.path(index) for index in range(6)] == expected


def test_labels_are_places_in_the_given_classes(tmp_path: Path) -> None:
    write_tree(tmp_path)
    files = scan_images(tmp_path / "val", ["ape", "cat", "cow", "dog"])
    assert files.labels.tolist() == [1, 1, 3, 3]


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"no images in {tmp_path}/train .*dataset.root"):
        scan_classes(tmp_path / "train")
    with pytest.raises(UserError, match=f"no class folders in {tmp_path}"):
        scan_classes(tmp_path)
    (tmp_path / "cat").mkdir()
    with pytest.raises(UserError, match=f"no images in {tmp_path}/cat"):
        scan_images(tmp_path, ["cat"])
    with pytest.raises(UserError, match="cat is not among the 1 training classes"):
        scan_images(tmp_path, ["dog"])
