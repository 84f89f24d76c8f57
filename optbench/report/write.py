"""A report written: one page of runs, from their folders alone."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile

from optbench.errors import UserError, reason
from optbench.files import BadFile, naming, reading
from optbench.report.gather import gather
from optbench.report.page import MARK, page, plotly_code
from optbench.rundir import path_of
from optbench.runs.collector import at_rest
from optbench.which_folder import nearest_folder

HTML = (".html", ".htm", "")
"""How a page's file may end."""


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
    _write(to, page(gathered, plotly))
    return to


def _write(to: Path, text: str) -> None:
    """Write a page that is seen whole, by way of a name beside it that nobody has."""
    beside = to.with_name(f".optbench-{secrets.token_hex(8)}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    with naming(to):
        try:
            with os.fdopen(os.open(beside, flags, 0o666), "wb") as file:
                file.write(text.encode("utf-8"))
            os.replace(beside, to)
        except BaseException:
            with suppress(OSError):
                beside.unlink()
            raise


def _writable(out: str | os.PathLike[str]) -> Path:
    """Return the path of a page; raise UserError for one that can't be, or is something else."""
    to = path_of(out, "out", "a file")
    if not str(out).strip():
        raise UserError("report: which file? -o report.html")
    if str(out) == "-":
        raise UserError("-: a page goes into a file: -o report.html")
    if to.is_dir():
        raise UserError(f"{out}: a folder, where a file is meant; {Path(out) / 'report.html'}?")
    if not to.parent.is_dir():
        raise UserError(f"{out}: no such folder: {to.parent}{nearest_folder(to.parent)}")
    if os.path.lexists(to) and not _is_report(to):
        raise UserError(f"{out}: there is something else, which is no report; name another file")
    if to.suffix.lower() not in HTML:
        hint = to.with_suffix(".html") if to.suffix[1:].isalpha() else f"{out}.html"
        raise UserError(f"{out}: the page is HTML; did you mean {hint}?")
    try:
        with TemporaryFile(dir=to.parent):
            pass
    except OSError as error:
        why = reason(OSError(error.errno, error.strerror))
        raise UserError(f"{out}: it can't be written: {why}") from None
    return to


def _is_report(path: Path) -> bool:
    try:
        with reading(path) as file:
            return file.read(len(MARK)) == MARK.encode("ascii")
    except (OSError, BadFile):
        return False
