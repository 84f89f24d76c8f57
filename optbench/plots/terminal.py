"""Curves as text, without colours, so that they survive a pipe and a log file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from optbench.plots.scale import Scale, can_be_drawn

Series = Mapping[str, tuple[Sequence[float], Sequence[float]]]

DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""The bits of a Braille character's dots, by row and column (Unicode, U+2800)."""

MARKS = "*o+x#@%&"
"""One letter for each series where there are several: dots could not be told apart."""


PLAIN = str.maketrans("┤│└─", "+|+-")
"""The frame in ASCII."""


class Encoded(Protocol):
    """A stream of text, as far as it matters here."""

    @property
    def encoding(self) -> str | None:
        """What letters it takes."""
        ...


def ascii_only(stream: Encoded) -> bool:
    """Return whether a stream can't take the characters that curves are drawn with."""
    try:
        "⣿┤".encode(stream.encoding or "utf-8")
    except UnicodeEncodeError:
        return True
    return False


def curve(
    series: Series,
    *,
    width: int = 72,
    height: int = 16,
    x_label: str = "",
    y_label: str = "",
    log_x: bool = False,
    log_y: bool = False,
    ascii_only: bool = False,
) -> str:
    """Draw lines through points as text: several lines, no newline at the end.

    One series is drawn in Braille dots (2 by 4 to a character), several each in a letter of its
    own, named below. Points that are not finite, or not positive on a logarithmic axis, are gaps.
    Where nothing changes, three rows are enough.

    Args:
        series: name -> (x values, y values), equally many of both.
        width, height: of the whole in characters, at least 24 and 5.
        x_label, y_label: below and above.
        log_x, log_y: logarithmic axes.
        ascii_only: for a terminal that knows no other characters.

    Raises:
        ValueError: a series with unequally many x and y.
    """
    for name, (xs, ys) in series.items():
        if len(xs) != len(ys):
            raise ValueError(f"{name}: {len(xs)} x values, but {len(ys)} y values")
    at = {x for xs, _ in series.values() for x in xs if can_be_drawn(x, log_x)}
    x_scale = Scale(min(at), min(at) + 1.0, log_x) if len(at) == 1 else Scale.around(at, log_x)
    y_scale = Scale.around((y for _, ys in series.values() for y in ys), log_y)
    rows = max(height, 5) - 2 - (1 if y_label else 0) - (1 if len(series) > 1 else 0)
    drawn = {y for _, ys in series.values() for y in ys if can_be_drawn(y, log_y)}
    if len(drawn) == 1:
        rows, ticks = 3, ["", f"{drawn.pop():.3g}", ""]
    else:
        ticks = _ticks(y_scale, rows)
    margin = max(len(tick) for tick in ticks)
    columns = max(max(width, 24) - margin - 2, 8)
    dots = len(series) == 1 and not ascii_only
    cells = _cells(series, x_scale, y_scale, columns, rows, dots)
    lines = [y_label] if y_label else []
    for row, tick in enumerate(ticks):
        body = "".join(chr(cells.get((column, row), 0x20)) for column in range(columns))
        lines.append(f"{tick:>{margin}} {'┤' if tick else '│'}{body}".rstrip())
    lines += _foot(x_scale, columns, margin, x_label)
    if len(series) > 1:
        names = [f"{MARKS[i % len(MARKS)]} {name}" for i, name in enumerate(series)]
        lines.append(" " * (margin + 2) + "   ".join(names))
    text = "\n".join(lines)
    return text.translate(PLAIN) if ascii_only else text


def _cells(
    series: Series, x_scale: Scale, y_scale: Scale, columns: int, rows: int, dots: bool
) -> dict[tuple[int, int], int]:
    """Return (column, row) -> code point of each character that is not empty."""
    across, down = (2, 4) if dots else (1, 1)
    cells: dict[tuple[int, int], int] = {}
    for number, (xs, ys) in enumerate(series.values()):
        places = _places(xs, ys, x_scale, y_scale, columns * across, rows * down)
        for x, y in _dots(places):
            cell = (x // across, y // down)
            if dots:
                cells[cell] = cells.get(cell, 0x2800) | DOTS[y % 4][x % 2]
            else:
                cells[cell] = ord(MARKS[number % len(MARKS)])
    return cells


def _ticks(scale: Scale, rows: int) -> list[str]:
    """Return the numbers at the left: top, bottom and, if there is room, every fourth row."""
    marked = {round(k * (rows - 1) / max((rows - 1) // 4, 1)) for k in range(rows // 4 + 1)}
    marked |= {0, rows - 1}
    return [
        f"{_clean(scale.value(1 - row / (rows - 1)), scale):.3g}" if row in marked else ""
        for row in range(rows)
    ]


def _clean(value: float, scale: Scale) -> float:
    """Return 0 instead of the rounding error that stands for it."""
    return 0.0 if abs(value) < 1e-9 * max(abs(scale.low), abs(scale.high)) else value


def _foot(scale: Scale, columns: int, margin: int, label: str) -> list[str]:
    axis = " " * margin + " └" + "─" * columns
    low, middle, high = (f"{_clean(scale.value(p), scale):.6g}" for p in (0.0, 0.5, 1.0))
    middle = label or middle
    line = list(" " * columns)
    for text, start in (
        (low, 0),
        (high, columns - len(high)),
        (middle, (columns - len(middle)) // 2),
    ):
        room = line[max(start - 1, 0) : start + len(text) + 1]
        if start >= 0 and not "".join(room).strip():
            line[start : start + len(text)] = text
    return [axis, (" " * (margin + 2) + "".join(line)).rstrip()]


def _places(
    xs: Sequence[float], ys: Sequence[float], x: Scale, y: Scale, columns: int, rows: int
) -> Iterator[tuple[int, int] | None]:
    """Yield the dot of each point, counted from the upper left; None if it can't be drawn."""
    for x_value, y_value in zip(xs, ys, strict=True):
        if can_be_drawn(x_value, x.log) and can_be_drawn(y_value, y.log):
            yield (
                round(x.part(x_value) * (columns - 1)),
                round((1.0 - y.part(y_value)) * (rows - 1)),
            )
        else:
            yield None


def _dots(places: Iterator[tuple[int, int] | None]) -> Iterator[tuple[int, int]]:
    """Yield all dots of the lines between neighbouring places."""
    before: tuple[int, int] | None = None
    for place in places:
        if place is not None and place != before:
            start = before or place
            steps = max(abs(place[0] - start[0]), abs(place[1] - start[1]), 1)
            for k in range(steps + 1):
                yield (
                    start[0] + round(k * (place[0] - start[0]) / steps),
                    start[1] + round(k * (place[1] - start[1]) / steps),
                )
        before = place
