"""Diagnosis from Python: `optbench.probe`."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from optbench.compose.texts import check_texts
from optbench.library import Path, check_folders, of_a_library

if TYPE_CHECKING:
    from optbench.probe.result import Probed


def probe(
    run: Path,
    *words: str,
    at: str | int | None = None,
    out: Path | None = None,
    trust: bool = False,
    quiet: bool = True,
    config_dir: str | None = None,
) -> Probed:
    """Measure a run at its checkpoints, as `optbench probe` does; the run is only read.

    Args:
        run: its folder.
        words: `instruments=[hessian,trace]`, `examples=500`, `hessian.top=10`.
        at: `best`, `last`, `all`, a step, or several with commas; default: best, else last.
        out: a folder for pictures, JSON and TensorBoard's events; default: none is made.
        trust: build what the run's config names, though somebody else began it.
        quiet: show nothing; else a progress bar in a terminal.
        config_dir: a folder of your own config files.

    Returns:
        What was found: `values` by name and step, `notes`, `lacking`, `folder`, and `plain`, which
        is the verb's JSON.

    Raises:
        UserError: bad input.

    Example:
        >>> found = optbench.probe("runs/first", "instruments=[hessian]", at="last")
        >>> sorted(found.values["hessian/largest"])
        [5]
    """
    from optbench.probe.asked import asked
    from optbench.probe.probe import probe as probed
    from optbench.rundir import path_of

    check_texts("probe", words)
    check_folders(out, config_dir)
    with of_a_library(quiet) as (log, _):
        found = probed(
            str(path_of(run)),
            asked(words),
            log,
            at=at,
            out=None if out is None else os.fspath(out),
            trust=trust,
            config_dir=config_dir,
            writes=out is not None,
        )
    if found.measured.signal:
        signal.raise_signal(found.measured.signal)
    return found
