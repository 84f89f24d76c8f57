"""The verb `resume`: going on with a run from its own config."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from importlib import import_module
from pathlib import Path

from optbench.cli.report import finish, goes_on_with
from optbench.cli.sweep import report
from optbench.compose.composer import hydra_session
from optbench.compose.executors import gone_on_with, without_executor
from optbench.console import print_lines, shown
from optbench.errors import UserError
from optbench.executors.make import make_executor
from optbench.executors.many import run_all
from optbench.files import dump_yaml
from optbench.rundir import PLAN, RunDir, path_of
from optbench.runs.branch import branch
from optbench.runs.execute import execute
from optbench.runs.log import Log
from optbench.runs.plan import read_plan
from optbench.runs.result import load_result
from optbench.runs.resume import continuation
from optbench.runs.sweep import reopen
from optbench.step_folders import checkpoint_folder
from optbench.which_run import BENCHMARK, META, POPULATION, STUDY


def resume(
    run: str,
    overrides: Sequence[str],
    config_dir: str | None,
    show: bool = False,
    trust: bool = False,
    at: str | None = None,
    to: str | None = None,
) -> int:
    """Go on with a run or a sweep, or show the config that it would go on with.

    Args:
        run: its folder.
        overrides: what is to change.
        config_dir: of the user's own config files.
        show: the config only.
        trust: build what the run's config names, whoever began it.
        at: the checkpoint to go on from in a new folder, `to`, instead of in the run's own.

    Raises:
        UserError: no such run, or a change that a run can't take.
    """
    log = Log()
    path = path_of(run)
    if to is not None and at is None:
        raise UserError(f"--to={to}: from which checkpoint? add --at last, --at best or --at STEP")
    many = [name for name in (*_STUDIES, PLAN) if os.path.lexists(path / name)]
    for flag, given in (("--cfg", show), ("--at", at), ("--to", to)) if many else ():
        if given:
            raise UserError(f"{flag}: of one run, and {shown(path)} has many")
    if many and many[0] in _STUDIES:
        if trust:
            raise UserError("--trust: of a run or a sweep; a study goes on where it was begun")
        module, _, function = _STUDIES[many[0]].partition(":")
        home = import_module(f"optbench.{module}")
        return int(getattr(home, function)(path, overrides, config_dir, log))
    if many:
        return _sweep(path, overrides, config_dir, trust, log)
    going = continuation(run, overrides, config_dir, trust)
    folder, changes = going.folder, going.changes
    if at is not None and not show:
        with branch(going, at, to, log) as new:
            return finish(execute(new.spec, log, new.folder, resume=True, seals=new.seals), log)
    if going.ended and going.labels and not show:
        going.relabel(log)
        for line in going.spec.changes:
            log.tell(line)
        return 0
    if going.ended and not show:
        return _tell_ended(folder, changes, log)
    if show:
        print_lines(dump_yaml(going.spec.plain).rstrip("\n"))
        return 0
    return finish(execute(going.spec, log, folder, resume=True, seals=going.seals), log)


def _tell_ended(folder: RunDir, changes: Collection[str], log: Log) -> int:
    """Tell what a run that has ended came to, and why the changes make no difference."""
    ended = load_result(folder)
    length = goes_on_with(ended)
    more = f"; {length} goes on" if length and ended.state == "stopped_early" else ""
    log.tell(
        f"{shown(folder.path)} is {ended.state.replace('_', ' ')}: nothing is left to do{more}"
    )
    if changes:
        names = ", ".join(changes)
        log.warn(f"{names}: no effect on a run that has ended; epochs=N makes it longer")
    kept = folder.read_status().get("checkpoint")
    if kept is not None and not checkpoint_folder(folder.checkpoints, kept).is_dir():
        log.warn(f"its checkpoint of step {kept} is gone, so it can't be made longer")
    return finish(ended, log)


def _sweep(
    path: Path, overrides: Sequence[str], config_dir: str | None, trust: bool, log: Log
) -> int:
    plan = read_plan(path, trust)
    with hydra_session(config_dir or plan.config_dir) as composer:
        choice, overrides = without_executor(composer, gone_on_with(plan.executor, overrides))
        executor = make_executor(choice, log)
        rest = reopen(composer, RunDir(path.absolute()), plan, overrides, trust)
        return report(rest, run_all(rest, executor, log), log)


_STUDIES = {
    STUDY: "cli.tune:resume_study",
    POPULATION: "cli.pbt:resume_population",
    BENCHMARK: "cli.benchmark:resume_benchmark",
    META: "meta.meta_train:go_on",
}
"""Who goes on with a study, by the file that makes it one."""
