"""Diagnosis from Python: `optbench.check` before a training, `probe` and `doctor` of a run."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from optbench.compose.texts import check_flag, check_texts
from optbench.library import Path, check_folders, composer_of, of_a_library

if TYPE_CHECKING:
    from optbench.check.result import Checked
    from optbench.doctor.diagnosis import Diagnosis
    from optbench.probe.result import Probed
    from optbench.symptoms.base import Rule


def check(
    *overrides: str,
    out: Path | None = None,
    quiet: bool = True,
    config_dir: str | None = None,
) -> Checked:
    """Look at a training before it begins, as `optbench check` does; no run folder is made.

    Args:
        overrides: of the training, and the words of the verb: `checks=[data,lr]`, `skip=[lr]`,
            `seconds=60`, `ranks=2`.
        out: a folder for pictures; default: none are made.
        quiet: say nothing; else what `optbench check` says.
        config_dir: a folder of your own config files.

    Returns:
        What was found: `passed`, `failures`, `warnings`, `skipped`, and `plain`, which is the
        verb's JSON.

    Raises:
        UserError: bad input.

    Example:
        >>> found = optbench.check("optimizer.lr=1e-3", "checks=[data,wiring]")
        >>> found.passed, [line.status for line in found.lines]
        (True, ['pass', 'pass'])
    """
    from optbench.check.checks import asked, run_checks
    from optbench.check.told import line_told
    from optbench.plots import png
    from optbench.rundir import path_of

    check_texts("check", overrides)
    check_folders(out, config_dir, "out")
    if out is not None:
        png.require()
    with composer_of(config_dir) as composer:
        wanted = asked(composer, overrides)
    folder = None if out is None else path_of(out)
    with of_a_library(quiet) as (log, _):
        return run_checks(wanted, log, None if quiet else line_told, folder, config_dir)


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
    check_folders(out, config_dir, "out")
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


def doctor(
    *folders: Path, every: bool = False, rules: tuple[type[Rule], ...] = ()
) -> list[Diagnosis]:
    """Examine runs by their folders, as `optbench doctor` does.

    Args:
        folders: of runs, sweeps, or folders of these.
        every: by all rules, those too that are off by default.
        rules: further ones, of your own.

    Returns:
        One of each run: `run`, `state`, `symptoms` (each with `name`, `step`, `what`, `evidence`,
        `cause`, `remedies`), `severe`, and `damaged` where a file of it can't be read.

    Raises:
        UserError: a folder that is not there, or without any run.

    Example:
        >>> found = optbench.doctor("runs/first")
        >>> [symptom.name for symptom in found[0].symptoms]
        []
    """
    from optbench.doctor.diagnosis import diagnosed, own_rules

    check_flag("every", every)
    return diagnosed(*folders, every=every, own=own_rules(rules))
