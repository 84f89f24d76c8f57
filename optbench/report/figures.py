"""Pictures of comparisons for papers: scores with leads, curves, times to target, profiles."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from optbench.comparison.result import Across, Comparisons, TimesToTarget, Workload
from optbench.errors import UserError
from optbench.plots.arms import (
    FORMATS,
    ArmScores,
    Line,
    draw_lines,
    draw_scores,
    draw_shares,
)
from optbench.plots.board import Cell, draw_board
from optbench.plots.png import require
from optbench.report.curves import bands, read_curves

LONGEST = 60
"""Letters of a workload's name in a file's."""


def draw_figures(
    found: Comparisons,
    folder: str | Path,
    ending: str = "png",
    warn: Callable[[str], None] = lambda line: None,
) -> list[Path]:
    """Draw what came of a comparison; return the files, which are overwritten if they are there.

    Args:
        folder: where they go, made if it is not there.
        ending: `png`, `pdf` or `svg`.
        warn: is given a line for each run whose curves can't be read.

    Raises:
        UserError: another ending, matplotlib is not installed, or a file can't be written.
    """
    check_format(ending)
    written: list[Path] = []

    def path(name: str) -> Path:
        written.append(Path(folder, f"{name}.{ending}"))
        return written[-1]

    for name, workload in zip(_names(found.workloads), found.workloads, strict=True):
        _scores(path(f"{name}-scores"), workload)
        lines = _curves(workload, warn)
        if lines:
            _draw_curves(path(f"{name}-curves"), workload, lines)
        if workload.times is not None and workload.times.verdicts:
            _times(path(f"{name}-times"), workload.times)
    if found.across is not None:
        _board(path("workloads"), found, found.across)
    if found.across is not None and found.across.profiles is not None:
        profiles = found.across.profiles
        draw_shares(
            path("profiles"),
            [Line(arm, profiles.taus, curve) for arm, curve in profiles.curves.items()],
            x_label="times the fastest arm's median time to target",
            y_label="part of the workloads",
            start=1.0,
        )
    return written


def check_format(ending: str) -> None:
    """Refuse what is none of the formats, and a missing matplotlib, before anything is read.

    Raises:
        UserError: another ending, or matplotlib is not installed.
    """
    if ending not in FORMATS:
        raise UserError(f"format={ending}: expected {', '.join(FORMATS)}")
    require()


def _names(workloads: Sequence[Workload]) -> list[str]:
    """Return a file's name each, of letters that every system takes."""
    names: list[str] = []
    for workload in workloads:
        name = re.sub(r"[^A-Za-z0-9_-]+", "-", workload.name).strip("-")[:LONGEST] or "workload"
        taken = {each.lower() for each in names}
        tries = (f"{name}-{number}" for number in range(2, len(workloads) + 2))
        free = next(each for each in (name, *tries) if each.lower() not in taken)
        names.append(free)
    return names


def _board(path: Path, found: Comparisons, across: Across) -> None:
    arms = sorted(across.arms, key=lambda arm: -across.beaten.arms[arm].value)
    cells = []
    for arm in arms:
        row = []
        for workload in found.workloads:
            compared = workload.compared
            first = arm == compared.best or any(
                v.second == arm and v.outcome in ("indistinguishable", "undecidable")
                for v in compared.comparison.row
            )
            mean = compared.arm(arm).mean * compared.unit.scale
            text = f"{mean:.4g}" if math.isfinite(mean) else "failed"
            row.append(Cell(across.shares[arm][workload.name], text, first))
        cells.append(row)
    draw_board(
        path,
        arms,
        [workload.name for workload in found.workloads],
        cells,
        heads=[_headed(workload) for workload in found.workloads],
    )


def _headed(workload: Workload) -> str:
    compared = workload.compared
    better = "higher" if compared.mode == "max" else "lower"
    return f"{compared.metric}{' %' if compared.unit.scale != 1 else ''}\n{better} is better"


def _scores(path: Path, workload: Workload) -> None:
    compared = workload.compared
    unit, scale = compared.unit, compared.unit.scale
    lead = {v.second: v for v in compared.comparison.row}
    arms = []
    for arm in compared.arms:
        v = lead.get(arm.name)
        known = v is not None and math.isfinite(v.low) and math.isfinite(v.high)
        ahead = (v.difference * scale, v.low * scale, v.high * scale) if v and known else None
        scores = [score * scale for score in arm.finished.values()]
        arms.append(ArmScores(arm.name, scores, arm.failed, ahead))
    draw_scores(
        path,
        arms,
        less=compared.mode == "min",
        label=f"{compared.metric}{' in %' if scale != 1 else ''}",
        lead=f"{compared.best} ahead by{f' ({unit.name})' if unit.name else ''}, 95 %",
        title=workload.name,
    )


def _curves(workload: Workload, warn: Callable[[str], None]) -> dict[str, Line]:
    """Return each arm's mean curve over steps of what the validation set says, with a band."""
    tag = _watched(workload)
    lines = {}
    for arm in workload.compared.arms:
        runs = workload.records.get(arm.name, {})
        curves = [read_curves(record.past.run) for record in runs.values()]
        for each in curves:
            if each.unread:
                warn(each.unread)
        parts = bands(curves, [tag])
        if parts:
            xs, ys = parts[0]["x"]["step"], parts[0]["y"][tag]
            low, high = ys.get("low", []), ys.get("high", [])
            lines[arm.name] = Line(arm.name, xs, _gaps(ys["mean"]), _gaps(low), _gaps(high))
    return lines


def _watched(workload: Workload) -> str:
    """Return what the curves are of: the target's metric, or that of the scores, on validation."""
    named = workload.target.metric if workload.target is not None else workload.compared.metric
    return f"val/{named.partition('/')[2]}"


def _draw_curves(path: Path, workload: Workload, lines: dict[str, Line]) -> None:
    tag, target = _watched(workload), workload.target
    draw_lines(
        path,
        [*lines.values()],
        x_label="step",
        y_label=f"{tag}, mean and range over seeds",
        less=workload.compared.mode == "min",
        title=workload.name,
        target=target.value if target is not None and target.metric == tag else None,
    )


def _times(path: Path, times: TimesToTarget) -> None:
    lines = []
    for arm, curve in times.curves.items():
        ends = max(times.until[arm].values(), default=0.0)
        lines.append(
            Line(
                arm,
                [0.0, *curve.times, ends],
                _arrived(curve.share),
                _arrived(curve.high),
                _arrived(curve.low),
            )
        )
    draw_shares(
        path, lines, x_label=times.axis, y_label=f"part of the runs at {times.target}, 95 %"
    )


def _arrived(share: Sequence[float]) -> list[float]:
    """Return the part that has arrived, from the part that has not, from 0 to the end."""
    arrived = [0.0, *(1.0 - part for part in share)]
    return [*arrived, arrived[-1]]


def _gaps(values: Sequence[Any]) -> list[float]:
    return [math.nan if value is None else float(value) for value in values]
