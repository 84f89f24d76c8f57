"""Paths on contours, and loss gaps, as pictures."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from PIL import Image

from optbench.errors import UserError
from optbench.plots import contour, gaps
from optbench.plots.contour import Landscape, Trail, region
from optbench.plots.png import COLOURS
from optbench.plots.rates import fit

SIDE = [-1.0 + n / 10 for n in range(21)]
BOWL = Landscape("bowl", SIDE, SIDE, [[x * x + 4 * y * y for x in SIDE] for y in SIDE], [(0, 0)])
TRAILS = [
    Trail("one", [(0.8 * 0.9**n, 0.8) for n in range(30)]),
    Trail("two", [(0.8, 0.8), (-0.8, 0.8), (-0.8, -0.8)]),
]


def colours_of(picture: Image.Image) -> set[tuple[int, ...]]:
    return {pixel for _, pixel in picture.convert("RGB").getcolors(1 << 24) or []}  # type: ignore[misc]


def rgb(colour: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(colour[1:]))


def test_a_picture_has_every_path_in_its_colour(tmp_path: Path) -> None:
    contour.save(tmp_path / "new" / "a.png", [(BOWL, TRAILS), (BOWL, TRAILS[:1])])
    with Image.open(tmp_path / "new" / "a.png") as picture:
        assert picture.width > 2 * picture.height
        found = colours_of(picture)
    assert [rgb(colour) in found for colour in COLOURS[:3]] == [True, True, False]


def test_in_an_animation_the_paths_grow(tmp_path: Path) -> None:
    contour.animate(tmp_path / "a.gif", BOWL, TRAILS)
    counts = []
    with Image.open(tmp_path / "a.gif") as picture:
        last = picture.n_frames - 1  # type: ignore[attr-defined]
        assert 25 < last < 30  # those that look alike are one
        for frame in (0, 15, last):
            picture.seek(frame)
            pixels = picture.convert("RGB").get_flattened_data()
            blue = rgb(COLOURS[0])
            counts.append(sum(1 for p in pixels if math.dist(p, blue) < 30))  # type: ignore[arg-type]
    assert counts[0] < counts[1] < counts[2]


def test_a_long_animation_has_not_more_frames(tmp_path: Path) -> None:
    trail = Trail("long", [(n / 5000, 0.5) for n in range(5000)])
    contour.animate(tmp_path / "a.gif", BOWL, [trail])
    with Image.open(tmp_path / "a.gif") as picture:
        assert picture.n_frames <= contour.FRAMES  # type: ignore[attr-defined]


def test_the_region_has_starts_minima_and_paths_in_it_but_none_that_run_away() -> None:
    fixed = [(0.0, 0.0), (1.0, 1.0)]
    usual = region(fixed, [Trail("a", [(1.0, 1.0), (0.5, 0.5)])])
    assert usual == pytest.approx((-0.12, 1.12, -0.12, 1.12))
    wider = region(fixed, [Trail("a", [(1.0, 1.0), (2.0, 0.5)])])
    assert wider[1] > 2.0
    away = Trail("away", [(1.0, 1.0), (1e9, 0.5), (math.inf, 0.0), (math.nan, math.nan)])
    assert region(fixed, [away]) == pytest.approx(usual)


def test_a_region_is_no_strip_and_never_empty() -> None:
    left, right, low, high = region([(0.0, 0.0), (10.0, 0.0)], [])
    assert (high - low) / (right - left) > 0.4
    left, right, low, high = region([(2.0, 3.0)], [])
    assert left < 2.0 < right and low < 3.0 < high


def test_gaps_are_drawn_twice_with_their_fitted_lines(tmp_path: Path) -> None:
    steps = list(range(1, 50))
    heights = [1.0 / step for step in steps[:-1]] + [0.0]
    line = fit(steps, heights, 1, 49, power=True)
    gaps.save(tmp_path / "g.png", [gaps.Gaps("a", steps, heights, line), gaps.Gaps("b", [1], [2])])
    with Image.open(tmp_path / "g.png") as picture:
        left = picture.crop((0, 0, picture.width // 2, picture.height))
        right = picture.crop((picture.width // 2, 0, picture.width, picture.height))
        assert rgb(COLOURS[0]) in colours_of(left) & colours_of(right)


def test_a_file_that_cannot_be_written_is_the_users_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    for write in (
        lambda path: contour.save(path, [(BOWL, TRAILS)]),
        lambda path: contour.animate(path, BOWL, TRAILS[1:]),
        lambda path: gaps.save(path, [gaps.Gaps("a", [1, 2], [1.0, 0.5])]),
    ):
        with pytest.raises(UserError, match="a file, where a folder is meant"):
            write(tmp_path / "file" / "a.gif")
