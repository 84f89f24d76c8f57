"""Curves as PNG."""

import sys
from pathlib import Path

import pytest
from PIL import Image

from optbench.errors import UserError
from optbench.plots import png

LINE = {"lr": ([0.0, 1.0], [1e-3, 1.0]), "other": ([0.0, 1.0], [1.0, 1.0])}


def test_a_picture_of_the_promised_size_with_every_series_in_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.png"
    png.save(path, LINE, title="t", x_label="x", y_label="y", log_y=True, markers={"here": 0.5})
    with Image.open(path) as picture:
        assert picture.size == (960, 600)
        colours = {pixel[:3] for _, pixel in picture.convert("RGB").getcolors(1 << 20) or []}
    for colour in png.COLOURS[:3]:  # two series and the marker
        assert tuple(bytes.fromhex(colour[1:])) in colours


def test_a_sheet_has_room_for_all(tmp_path: Path) -> None:
    pictures = [png.Picture(LINE, title=str(n)) for n in range(5)]
    png.save_sheet(tmp_path / "s.png", pictures, columns=2, size=(2.0, 1.0), dpi=100)
    with Image.open(tmp_path / "s.png") as picture:
        assert picture.size == (400, 300)


def test_without_matplotlib_one_line_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(UserError, match=r"pip install 'optbench\[plots\]'"):
        png.require()


def test_a_file_that_cannot_be_written_is_the_users_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(UserError, match="a file, where a folder is meant"):
        png.save(tmp_path / "file" / "a.png", LINE)
