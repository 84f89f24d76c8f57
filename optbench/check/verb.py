"""The verb `check`: what `train` would train, looked at before it begins."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from optbench.check.checks import asked, run_checks
from optbench.check.told import end_told, json_told, line_told
from optbench.compose.composer import hydra_session
from optbench.config.suggest import did_you_mean
from optbench.errors import UserError
from optbench.launched import launched_ranks
from optbench.plots import png
from optbench.rundir import path_of
from optbench.runs.log import Log
from optbench.which_folder import refuse_no_folder

FLAGS = ("--json", "--out", "--config-dir", "--help")
EXIT_FAILED = 1


class Flags(NamedTuple):
    """What the command line says beside overrides."""

    json: bool
    out: Path | None
    config_dir: str | None
    overrides: list[str]


def check(arguments: Sequence[str]) -> int:
    """Run `optbench check [overrides of train] [--json] [--out FOLDER]`; return the exit code."""
    flags = read(arguments)
    if launched_ranks() > 1:
        raise UserError("check: one process does it; leave out torchrun")
    if flags.out is not None:
        png.require()
    with hydra_session(flags.config_dir) as composer:
        wanted = asked(composer, flags.overrides)
    told = None if flags.json else line_told
    from optbench.training.signals import Stopped, stoppable

    try:
        with stoppable():
            found = run_checks(wanted, Log(), told, flags.out, flags.config_dir)
    except Stopped as stopped:
        return stopped.code
    (json_told if flags.json else end_told)(found)
    return 0 if found.passed else EXIT_FAILED


def read(arguments: Sequence[str]) -> Flags:
    """Read the flags.

    Raises:
        UserError: one that there is not, or that wants a value.
    """
    values: dict[str, str] = {}
    rest, json = [], False
    given = iter(arguments)
    for argument in given:
        name, equals, value = argument.partition("=")
        if name in ("--out", "--config-dir"):
            values[name] = value if equals else next(given, "")
            if not values[name]:
                raise UserError(f"{name}: it wants a value")
        elif argument == "--json":
            json = True
        elif name in ("-m", "--multirun"):
            raise UserError(f"{name}: not with check, which looks at one config")
        elif name in ("--only", "--checks", "--skip"):
            word = "skip" if name == "--skip" else "checks"
            raise UserError(f"{name}: no such flag; did you mean {word}=[{value or 'data,lr'}]?")
        elif argument.startswith("-"):
            raise UserError(f"{name}: no such flag; {did_you_mean(name, FLAGS)}")
        else:
            rest.append(argument)
    out = path_of(values["--out"], "--out") if "--out" in values else None
    if out is not None and out.exists():
        refuse_no_folder(out, f"--out {out}")
    return Flags(json, out, values.get("--config-dir"), rest)
