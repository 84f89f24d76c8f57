"""The verb `report`: runs as one page."""

from __future__ import annotations

import os
from collections.abc import Sequence

from optbench.config.flags import page_meant, taken
from optbench.console import print_lines, shown
from optbench.errors import UserError

FLAGS = ("-o", "--output", "--metric", "--mode", "--baseline")


def report(arguments: Sequence[str]) -> int:
    """Run `optbench report FOLDER... -o FILE [flags]`; return the exit code."""
    flags, folders = taken("report", arguments, FLAGS, ())
    out = flags.get("-o") or flags.get("--output")
    if out is None and (file := page_meant(folders)) and not os.path.isdir(file):
        raise UserError(f"{file}: did you mean -o {file}?")
    if out is None:
        raise UserError("report: which file? optbench report FOLDER... -o report.html")
    from optbench.report.write import report as written

    path = written(
        *folders,
        out=out,
        metric=flags.get("--metric"),
        mode=flags.get("--mode"),
        baseline=flags.get("--baseline"),
    )
    print_lines(f"{shown(path)}: {path.stat().st_size / 1e6:.1f} MB; any browser opens it")
    return 0
