"""optbench.data.image_files"""

import os
from pathlib import Path

import pytest

from optbench.data.image_files import scan_classes, scan_images
from optbench.errors import ArgumentError, UserError

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
    with pytest.raises(ArgumentError, match=f"no images in {tmp_path}/train .*point root at"):
        scan_classes(tmp_path / "train")
    with pytest.raises(UserError, match=f"no class folders in {tmp_path}"):
        scan_classes(tmp_path)
    (tmp_path / "cat").mkdir()
    with pytest.raises(UserError, match=f"no images in {tmp_path}/cat"):
        scan_images(tmp_path, ["cat"])
    with pytest.raises(UserError, match="cat is not among the 1 training classes"):
        scan_images(tmp_path, ["dog"])


def test_images_in_folders_inside_a_class_are_of_it(tmp_path: Path) -> None:
    write_tree(tmp_path)
    inside = tmp_path / "train" / "cat" / "images" / "more"
    inside.mkdir(parents=True)
    (tmp_path / "train" / "cat" / "0.jpg").rename(inside / "0.jpg")
    (inside / "round").symlink_to(tmp_path / "train" / "cat")  # a circle
    files = scan_images(tmp_path / "train", ["cat", "dog"])
    names = [Path(files.path(i)).relative_to(tmp_path / "train").as_posix() for i in range(6)]
    assert names[:3] == ["cat/1.png", "cat/2.JPEG", "cat/images/more/0.jpg"]
    assert files.labels.tolist() == [0] * 3 + [1] * 3
    assert files.notes == ()


def test_what_is_left_out_is_counted_in_one_line(tmp_path: Path) -> None:
    write_tree(tmp_path)
    train, cat = tmp_path / "train", tmp_path / "train" / "cat"
    for path in (train / "lost.png", cat / "about.txt", cat / "._1.png", cat / ".DS_Store"):
        path.write_bytes(b"")
    (cat / "z.gif").write_bytes(b"")
    (cat / ".thumbnails").mkdir()
    os.mkfifo(cat / "pipe.png")
    (cat / "gone.jpg").symlink_to("nowhere.jpg")
    (cat / "loop").symlink_to("loop")
    files = scan_images(train, ["cat", "dog"])
    assert len(files.labels) == 6
    (note,) = files.notes
    assert note == (
        f"left out of {train}: 1 image outside of the class folders (lost.png),"
        " 2 hidden images or folders (cat/._1.png, cat/.thumbnails),"
        " 2 broken links, pipes or devices (cat/gone.jpg, cat/pipe.png),"
        " 3 files without an image's ending (cat/about.txt, cat/loop, ...)"
    )
