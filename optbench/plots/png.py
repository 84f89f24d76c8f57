"""Curves as PNG, by matplotlib, which is imported when the first one is drawn."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import IO, Any

from optbench.errors import UserError
from optbench.plots.terminal import Series

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Okabe and Ito's, which colour-blind people can tell apart."""


SHORT = 20.0
"""From its least to its largest value, a logarithmic axis with ticks as a linear one."""


@dataclass(frozen=True)
class Picture:
    """What stands in one pair of axes; see `save`."""

    series: Series
    title: str = ""
    x_label: str = ""
    y_label: str = ""
    log_x: bool = False
    log_y: bool = False
    markers: Mapping[str, float] = field(default_factory=dict)


def save(
    path: str | Path,
    series: Series,
    *,
    title: str = "",
    x_label: str = "",
    y_label: str = "",
    log_x: bool = False,
    log_y: bool = False,
    markers: Mapping[str, float] = {},
) -> None:
    """Draw lines through points into a PNG of 960 by 600 pixels.

    Args:
        path: of the file; its folder is made if it is not there.
        series: name -> (x values, y values); the names make a legend if there are several.
        title, x_label, y_label: texts.
        log_x, log_y: logarithmic axes.
        markers: name -> x of a vertical line, named in the legend.

    Raises:
        UserError: matplotlib is not installed, or the file can't be written.
    """
    picture = Picture(series, title, x_label, y_label, log_x, log_y, markers)
    save_sheet(path, [picture], columns=1, size=(6.4, 4.0), dpi=150)


def save_sheet(
    path: str | Path,
    pictures: Sequence[Picture],
    *,
    columns: int = 4,
    size: tuple[float, float] = (2.6, 1.9),
    dpi: int = 100,
) -> None:
    """Draw several pictures, row by row, into one PNG.

    Args:
        path: of the file; its folder is made if it is not there.
        pictures: what to draw.
        columns: pictures in a row.
        size: of one picture, in inches.
        dpi: pixels to an inch.

    Raises:
        UserError: matplotlib is not installed, or the file can't be written.
    """
    rows = math.ceil(len(pictures) / columns)
    figure = figure_of((size[0] * columns, size[1] * rows), dpi)
    for number, picture in enumerate(pictures, start=1):
        _draw(figure.add_subplot(rows, columns, number), picture)
    write(figure, path)


def _draw(axes: Any, picture: Picture) -> None:
    for number, (name, (xs, ys)) in enumerate(picture.series.items()):
        axes.plot(xs, ys, label=name, color=COLOURS[number % len(COLOURS)], linewidth=1.4)
    for number, (name, x) in enumerate(picture.markers.items(), start=len(picture.series)):
        axes.axvline(
            x, label=name, color=COLOURS[number % len(COLOURS)], linestyle="--", linewidth=1.0
        )
    set_scales(axes, picture)
    axes.set_title(picture.title, fontsize="medium")
    axes.set_xlabel(picture.x_label)
    axes.set_ylabel(picture.y_label)
    axes.grid(True, linewidth=0.4, alpha=0.5)
    if len(picture.series) > 1 or picture.markers:
        axes.legend(fontsize="x-small", framealpha=0.6)


def set_scales(axes: Any, picture: Picture) -> None:
    """Make axes logarithmic where a picture says so, with ticks that can be read.

    Over less than `SHORT` a logarithmic axis has few powers of ten, and the numbers between them
    write over each other: there the ticks are those of a linear one.
    """
    for axis, scale in (
        (axes.xaxis, axes.set_xscale if picture.log_x else None),
        (axes.yaxis, axes.set_yscale if picture.log_y else None),
    ):
        if scale is None:
            continue
        from matplotlib.ticker import MaxNLocator, NullFormatter, NullLocator, StrMethodFormatter

        scale("log")
        axis.set_minor_formatter(NullFormatter())
        low, high = sorted(axis.get_view_interval())
        if low > 0 and high < SHORT * low:
            axis.set_major_locator(MaxNLocator(5))
            axis.set_major_formatter(StrMethodFormatter("{x:g}"))
            axis.set_minor_locator(NullLocator())


def figure_of(size: tuple[float, float], dpi: int) -> Any:
    """Return an empty figure of this size in inches.

    Raises:
        UserError: matplotlib is not installed.
    """
    figure_class, canvas_class = _matplotlib()
    figure = figure_class(figsize=size, dpi=dpi)
    canvas_class(figure)
    return figure


def write(figure: Any, path: str | Path) -> None:
    """Write a figure into a PNG; see `writing`."""
    figure.tight_layout()
    with writing(path) as file:
        figure.savefig(file, format="png")


@contextmanager
def writing(path: str | Path) -> Iterator[IO[bytes]]:
    """Give a file in memory, which then takes the place of `path`, whole; its folder is made.

    A link there is replaced; what it points to stays.

    Raises:
        UserError: the file can't be written.
    """
    path = Path(path)
    above = next((folder for folder in path.parents if os.path.lexists(folder)), path.parent)
    if os.path.lexists(above) and not above.is_dir():
        raise UserError(f"{above}: a file, where a folder is meant")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    drawn = BytesIO()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield drawn
        try:
            with temporary.open("xb") as file:
                file.write(drawn.getbuffer())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise UserError(f"{path}: can't be written: {why}") from None


def require() -> None:
    """Raise UserError unless matplotlib is installed, before anything else is done."""
    _matplotlib()


def _matplotlib() -> tuple[Any, Any]:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise UserError(
            "a PNG needs matplotlib, which is not installed: pip install 'optbench[plots]'"
        ) from None
    return Figure, FigureCanvasAgg
