"""A run is opened, measured at its checkpoints, and what was found is written."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from optbench.assemble.blame import blaming
from optbench.assemble.instruments import make_instruments
from optbench.console import shown
from optbench.errors import UserError
from optbench.instruments.base import Instrument
from optbench.probe.asked import Asked
from optbench.probe.live import Live
from optbench.probe.measure import Measured, measure
from optbench.probe.opened import Opened, open_to_look, steps_asked
from optbench.probe.others import check_others, points_of
from optbench.probe.result import Probed
from optbench.probe.write import write
from optbench.rundir import RunDir
from optbench.runs.log import say_taken
from optbench.runs.weights import damaged_checkpoints
from optbench.training.signals import Interruption

if TYPE_CHECKING:
    from optbench.runs.log import Log

FOLDER = "probes"


def usual_folder(run: Path) -> str:
    """Return where what is found of a run goes, unless something else is said."""
    return os.path.join(FOLDER, f"{datetime.now():%Y-%m-%d-%H-%M-%S}-{run.name}")


def probe(
    run: str,
    wanted: Asked,
    log: Log,
    *,
    at: str | int | None = None,
    out: str | None = None,
    trust: bool = False,
    config_dir: str | None = None,
    writes: bool = True,
) -> Probed:
    """Measure a run at its checkpoints.

    The run's folder is only read: a run that is being trained goes on as if nobody had looked.

    Args:
        run: its folder.
        wanted: what to measure.
        log: draws the bar.
        at: which checkpoints; see `steps_asked`.
        out: a folder for what is found; None is `usual_folder`.
        trust: build what the run's config names, whoever began it.
        config_dir: of the user's own config files.
        writes: whether anything is written.

    Raises:
        UserError: bad input; no folder is left behind.
    """
    instruments = make_instruments(wanted.instruments, wanted.settings, wanted.common)
    steps = steps_asked(RunDir.existing(run, ""), at)
    check_others(instruments)
    opened = open_to_look(run, wanted.overrides, wanted.player, trust, config_dir)
    settings = wanted.plain(opened.player)
    damaged = damaged_checkpoints(opened.folder)
    made = _reserved(opened, out, log) if writes else None
    missing: list[str] = []
    try:
        found = _measured(opened, steps, instruments, log)
        found.notes += [line for line in damaged if line not in found.notes]
        if made is not None and not found.empty:
            missing = write(made, shown(opened.folder.path), found, settings)
    except BaseException:
        _remove(made)
        raise
    if found.empty:
        _remove(made)
        made = None
    return Probed(opened.folder.path, found, settings, made, tuple(missing))


def _reserved(opened: Opened, out: str | None, log: Log) -> Path:
    """Make the folder for what is found; say so where it is another than was asked for."""
    run = opened.folder.path
    if out and Path(out).resolve().is_relative_to(run.resolve()):
        raise UserError(f"out={out}: inside the run's folder, in which probe changes nothing")
    made = RunDir.reserve(out or usual_folder(run), "out").path
    if out:
        say_taken(out, made, log)
    return made


def _measured(
    opened: Opened, steps: Sequence[int], instruments: Sequence[Instrument], log: Log
) -> Measured:
    """Measure, with a bar, until a signal comes."""
    live = Live(log.live, len(steps) * len(instruments))
    experiment = opened.experiment
    with (
        Interruption().listening() as stop,
        closing(live),
        blaming(experiment.config, experiment.state.task, opened.names),
    ):
        others = partial(points_of, opened)
        return measure(opened.look, steps, instruments, live, stop, others)


def _remove(folder: Path | None) -> None:
    """Remove a folder in which nothing of worth is, and its own if that is empty then."""
    if folder is None:
        return
    shutil.rmtree(folder, ignore_errors=True)
    if folder.parent.name == FOLDER:
        try:
            folder.parent.rmdir()
        except OSError:
            return
