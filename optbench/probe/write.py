"""What a probing leaves: probe.json, pictures, TensorBoard's events."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from optbench.errors import UserError
from optbench.files import strict, write_atomically
from optbench.monitor.record import Record
from optbench.probe.measure import Measured, Taken

FORMAT = 1
"""Of probe.json."""
TB = "tb"
MOST_PANELS = 12


def as_json(run: str, measured: Measured, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return all that was found, plain data."""
    return {
        "format": FORMAT,
        "run": run,
        "steps": measured.steps,
        "settings": dict(settings),
        "interrupted": bool(measured.signal),
        "notes": measured.notes,
        "instruments": {each.name: _instrument(each) for each in measured.taken},
    }


def _instrument(taken: Taken) -> dict[str, Any]:
    points = [
        {
            "step": step,
            "values": dict(found.values),
            "tables": dict(found.tables),
            "notes": [*found.notes],
        }
        for step, found in taken.points.items()
    ]
    return {"points": points, "lacking": {str(step): why for step, why in taken.lacking.items()}}


def write(folder: Path, run: str, measured: Measured, settings: Mapping[str, Any]) -> list[str]:
    """Write everything into a folder that is there.

    Returns:
        What to bear in mind of it: that pictures are missing, and why.
    """
    said = strict(as_json(run, measured, settings))
    write_atomically(folder / "probe.json", json.dumps(said, indent=1) + "\n")
    _write_events(folder / TB, measured)
    try:
        _draw_all(folder, measured)
    except UserError as error:
        return [str(error)]
    return []


def _write_events(folder: Path, measured: Measured) -> None:
    from optbench.monitor.tensorboard import TensorBoard

    board = TensorBoard(folder)
    try:
        for step in measured.steps:
            found = [taken.points[step] for taken in measured.taken if step in taken.points]
            values = {f"probe/{k}": v for each in found for k, v in each.values.items()}
            if values:
                board.write(Record("probe", step, 0.0, 0, 0.0, values))
        board.flush()
    finally:
        board.close()


def _draw_all(folder: Path, measured: Measured) -> None:
    from optbench.plots import png

    png.require()
    for taken in measured.taken:
        for step, found in taken.points.items():
            for name, draw in found.pictures.items():
                at = f"-step-{step}" if len(measured.steps) > 1 else ""
                _draw(folder / f"{_file(taken.name)}-{_file(name)}{at}.png", [draw])
        if len(taken.points) > 1:
            _draw(folder / f"{_file(taken.name)}.png", _curves(taken))


def _file(name: str) -> str:
    """Return a name that a file can have."""
    return re.sub(r"[^\w.-]+", "-", name)


def _draw(path: Path, panels: Sequence[Callable[[Any], None]]) -> None:
    from optbench.plots import png

    columns = min(3, len(panels))
    rows = math.ceil(len(panels) / columns)
    figure = png.figure_of((6.4 if len(panels) == 1 else 4.0 * columns, 4.0 * rows), 120)
    for number, draw in enumerate(panels, start=1):
        draw(figure.add_subplot(rows, columns, number))
    png.write(figure, path)


def _curves(taken: Taken) -> list[Callable[[Any], None]]:
    """Return a panel for each of an instrument's curves by step: those that it groups itself in
    `curves`, or else each value."""
    names = list(dict.fromkeys(k for each in taken.points.values() for k in each.values))
    grouped: Mapping[str, Sequence[str]] = getattr(taken.instrument, "curves", {})
    groups = grouped or {name: (name,) for name in names[:MOST_PANELS]}
    return [partial(_curve, taken, title, keys) for title, keys in groups.items()]


def _curve(taken: Taken, title: str, keys: Sequence[str], axes: Any) -> None:
    from optbench.plots.png import COLOURS

    for number, key in enumerate(keys):
        pairs = [(s, found.values[key]) for s, found in taken.points.items() if key in found.values]
        if not pairs:
            continue
        line = key.endswith("/line")
        axes.plot(
            *zip(*pairs, strict=True),
            label=key.rpartition("/")[2],
            color="black" if line else COLOURS[number % len(COLOURS)],
            linestyle="--" if line else "-",
            marker="" if line else "o",
            markersize=3,
        )
    axes.set_title(title, fontsize="medium")
    axes.set_xlabel("step")
    axes.grid(True, linewidth=0.4, alpha=0.5)
    if len(keys) > 1:
        axes.legend(fontsize="x-small")
