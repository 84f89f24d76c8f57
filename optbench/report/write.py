"""A report written: one page of runs, from their folders alone."""

from __future__ import annotations

import os
from pathlib import Path

from optbench.errors import UserError
from optbench.files import BadFile, naming, reading, write_atomically
from optbench.report.gather import gather
from optbench.report.page import MARK, page, plotly_code
from optbench.rundir import nearest_folder, path_of
from optbench.runs.collector import at_rest


def report(
    *folders: str | os.PathLike[str],
    out: str | os.PathLike[str],
    metric: str | None = None,
    mode: str | None = None,
    baseline: str | None = None,
) -> Path:
    """Write one page of runs, as `optbench report` does; it needs no network to be looked at.

    Args:
        folders: of runs, sweeps, studies, benchmarks, or what holds such. Default: `runs`.
        out: the file, such as `report.html`; a report that is there is written anew.
        metric, mode, baseline: as for `compare`.

    Returns:
        Where it is.

    Raises:
        UserError: a folder without runs; `out` can't be written; plotly is not installed.

    Example:
        >>> optbench.report("runs/grid", out="report.html").name
        'report.html'
    """
    to = _writable(out)
    plotly = plotly_code()
    with at_rest():  # what is read is kept until the end; looking through it takes long
        gathered = gather(*folders, metric=metric, mode=mode, baseline=baseline)
    with naming(to):
        write_atomically(to, page(gathered, plotly))
    return to


def _writable(out: str | os.PathLike[str]) -> Path:
    """Return the path of a page; raise UserError for one that can't be, or is something else."""
    to = path_of(out, "out")
    if not str(out).strip():
        raise UserError("report: which file? -o report.html")
    if to.is_dir():
        raise UserError(f"{out}: a folder, where a file is meant; {Path(out) / 'report.html'}?")
    if not to.parent.is_dir():
        raise UserError(f"{out}: no such folder: {to.parent}{nearest_folder(to.parent)}")
    if os.path.lexists(to) and not _is_report(to):
        raise UserError(f"{out}: there is something else, which is no report; name another file")
    return to


def _is_report(path: Path) -> bool:
    try:
        with reading(path) as file:
            return file.read(len(MARK)) == MARK.encode("ascii")
    except (OSError, BadFile):
        return False
