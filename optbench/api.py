"""Composing, training and going on with runs from Python: what `import optbench` gives.

Each function does what the verb of its name does, and prints nothing unless it is told to. What is
wrong with an argument is raised as UserError before a folder is made.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from optbench.compose.texts import check_texts
from optbench.errors import UserError
from optbench.library import Path, check_folders, composer_of, of_a_library

if TYPE_CHECKING:
    from optbench.config.run_spec import RunSpec
    from optbench.runs.result import RunResult
    from optbench.training.callback import Callback
    from optbench.tuning.study import Study


def compose(*overrides: str, config_dir: str | None = None) -> RunSpec:
    """Compose and check the config of a run; nothing is loaded or made.

    Args:
        overrides: as on the command line, such as `optimizer=sgd` and `optimizer.lr=0.1`.
        config_dir: a folder of your own config files.

    Raises:
        UserError: an override that makes no sense.

    Example:
        >>> spec = optbench.compose("optimizer=sgd", "optimizer.lr=0.1", "steps=5")
        >>> spec.plain["optimizer"]["lr"]
        0.1
    """
    check_texts("compose", overrides)
    with composer_of(config_dir) as composer:
        spec = composer.spec(composer.compose(overrides), overrides)
    if spec.config.resume:
        raise UserError(f"resume={spec.config.resume}: a run is gone on with by optbench.resume")
    return spec


def train(
    *overrides: str | RunSpec,
    folder: Path | None = None,
    callbacks: Sequence[Callback] | None = (),
    quiet: bool = True,
    config_dir: str | None = None,
) -> RunResult:
    """Train, as `optbench train` does.

    A signal (SIGINT, SIGTERM, SIGHUP) that comes meanwhile ends the run with a checkpoint, and is
    then given to whoever had it before: after Ctrl-C, KeyboardInterrupt is raised here. Torch's
    process-wide switches and the random generators are afterwards as they were.

    Args:
        overrides: as on the command line; or one RunSpec that `compose` gave.
        folder: of the run, made here; `FOLDER-2` if it is there. Default: in `runs/`.
        callbacks: told of steps, evaluations and checkpoints; they may stop the run.
        quiet: say nothing; else a progress line and warnings on standard error.
        config_dir: a folder of your own config files.

    Returns:
        How the run ended: `finished`, `stopped_early`, `diverged`, or `preempted` by a signal.

    Raises:
        UserError: bad input; no folder is left behind.
        Exception: whatever else ends the run, once its folder says `failed`, and why.

    Example:
        >>> result = optbench.train("optimizer=sgd", "steps=5", folder="runs/first")
        >>> result.state, result.step
        ('finished', 5)
    """
    from optbench.runs.execute import execute

    check_folders(folder, config_dir)
    spec = _spec_of(overrides, config_dir)
    if folder is not None:
        spec = replace(spec, folder=os.fspath(folder))
    with of_a_library(quiet) as (log, results):
        results.append(execute(spec, log, callbacks=callbacks or (), raising=True))
    return results[0]


def _spec_of(overrides: Sequence[str | RunSpec], config_dir: str | None) -> RunSpec:
    """Return the run that is asked for; raise UserError for a RunSpec with anything beside it."""
    from optbench.config.run_spec import RunSpec

    words = [word for word in overrides if not isinstance(word, RunSpec)]
    if len(words) == len(overrides):
        check_texts("train", words)
        return compose(*words, config_dir=config_dir)
    if len(overrides) > 1 or config_dir is not None:
        raise UserError("train: a RunSpec stands alone; its overrides are compose's")
    (spec,) = (each for each in overrides if isinstance(each, RunSpec))
    return spec


def sweep(
    *overrides: str,
    folder: Path | None = None,
    callbacks: Sequence[Callback] | None = (),
    quiet: bool = True,
    config_dir: str | None = None,
) -> list[RunResult]:
    """Train all combinations of some values, as `optbench train -m` does.

    Args:
        overrides: as on the command line, with commas: `optimizer=sgd,adam`, `seed=0,1`; who does
            the runs, such as `executor=local`, is by default this process, one after the other.
        folder: of the sweep. Default: in `runs/sweeps/`.
        callbacks: told of each run, the same ones; copies of them where other processes do them.
        quiet: say nothing; else what `train` says.
        config_dir: a folder of your own config files.

    Returns:
        How each run ended, in the grid's order; one that failed stops no other, unless
        `sweep.fail_fast=true`.

    Raises:
        UserError: bad input; a launcher or a sweeper of Hydra's, which are the command line's.

    Example:
        >>> results = optbench.sweep("optimizer=sgd,adam", "steps=5")
        >>> [result.run.choices["optimizer"] for result in results]
        ['sgd', 'adam']
    """
    from optbench.compose.executors import without_executor
    from optbench.compose.sweeps import Grid, compose_grid
    from optbench.executors.make import make_executor
    from optbench.executors.many import run_all
    from optbench.runs.sweep import begin
    from optbench.training.callback import check_callbacks

    check_texts("sweep", overrides)
    check_callbacks(callbacks or ())
    check_folders(folder, config_dir)
    with composer_of(config_dir) as composer:
        choice, rest = without_executor(composer, overrides)
        grid = compose_grid(composer, rest)
        if not isinstance(grid, Grid) or not grid.basic:
            raise UserError("hydra/launcher, hydra/sweeper: for optbench train -m only")
        if folder is not None:
            grid = replace(grid, folder=os.fspath(folder))
        with of_a_library(quiet) as (log, results):
            executor = make_executor(choice, log)
            planned = begin(composer, rest, grid, log, choice.lines)
            results += filter(None, run_all(planned, executor, log, callbacks or ()))
    return results


def resume(
    path: Path,
    *overrides: str,
    callbacks: Sequence[Callback] | None = (),
    quiet: bool = True,
    config_dir: str | None = None,
    trust: bool = False,
    at: str | int | None = None,
    folder: Path | None = None,
) -> RunResult:
    """Go on with a run, bit for bit, as `optbench resume` does.

    Args:
        path: the run's folder.
        overrides: what is to change, such as `epochs=40`.
        callbacks, quiet, config_dir: as for `train`.
        trust: build what the run's config names though somebody else began it: it runs his code.
        at: go on from this checkpoint, `best`, `last` or a step, in a folder of its own.
        folder: the new one, with `at`. Default: RUN-step-N.

    Returns:
        How the run ended; a run that has nothing left to do is left as it is.

    Raises:
        UserError: no run, or one that can't go on like this.

    Example:
        >>> optbench.resume("runs/first", "steps=8").step
        8
    """
    from optbench.runs.branch import branch
    from optbench.runs.execute import execute
    from optbench.runs.result import load_result
    from optbench.runs.resume import continuation

    if folder is not None and at is None:
        raise UserError("folder: with at=, for a branch of a run")
    check_texts("resume", overrides)
    check_folders(folder, config_dir)
    going = continuation(path, overrides, config_dir, trust)
    with of_a_library(quiet) as (log, results), ExitStack() as stack:
        if at is not None:
            going = stack.enter_context(branch(going, at, folder, log))
        elif going.ended:
            if going.labels:
                going.relabel(log)
            return load_result(going.folder)
        results.append(
            execute(
                going.spec,
                log,
                going.folder,
                resume=True,
                seals=going.seals,
                callbacks=callbacks or (),
                raising=True,
            )
        )
    return results[0]


def resume_sweep(
    path: Path,
    *overrides: str,
    callbacks: Sequence[Callback] | None = (),
    quiet: bool = True,
    config_dir: str | None = None,
    trust: bool = False,
) -> list[RunResult]:
    """Go on with a sweep: runs that are done are skipped, the others resumed or begun.

    Args:
        path: the sweep's folder.
        overrides: who does the runs, such as `executor=local`; nothing else can change.
        callbacks: told of each run that is gone on with or begun, the same ones.
        quiet, config_dir, trust: as for `resume`.

    Returns:
        How each run ended, in the grid's order.

    Raises:
        UserError: no sweep, or one that can't go on.

    Example:
        >>> results = optbench.sweep("optimizer=sgd,adam", "steps=5", folder="runs/both")
        >>> [result.state for result in optbench.resume_sweep("runs/both")]
        ['finished', 'finished']
    """
    from optbench.compose.executors import gone_on_with, without_executor
    from optbench.executors.make import make_executor
    from optbench.executors.many import run_all
    from optbench.rundir import RunDir, path_of
    from optbench.runs.plan import read_plan
    from optbench.runs.sweep import reopen
    from optbench.training.callback import check_callbacks

    check_texts("resume_sweep", overrides)
    check_callbacks(callbacks or ())
    folder = path_of(path).absolute()
    plan = read_plan(folder, trust)
    with (
        composer_of(config_dir or plan.config_dir) as composer,
        of_a_library(quiet) as (log, results),
    ):
        choice, rest = without_executor(composer, gone_on_with(plan.executor, overrides))
        executor = make_executor(choice, log)
        planned = reopen(composer, RunDir(folder), plan, rest, trust)
        results += filter(None, run_all(planned, executor, log, callbacks or ()))
    return results


def tune(
    *overrides: str,
    folder: Path | None = None,
    quiet: bool = True,
    config_dir: str | None = None,
) -> Study:
    """Search for settings, as `optbench tune` does; needs the extra `tune`.

    Args:
        overrides: of the runs, and the words of the search: `space=adamw`, `trials=30`.
        folder: of the study. Default: in `runs/studies/`.
        quiet: say nothing; else what `optbench tune` says as it goes on.
        config_dir: a folder of your own config files.

    Returns:
        The study: its trials by `tried()`, the best by `best()`, its `folder`.

    Raises:
        UserError: bad input.

    Example:
        >>> study = optbench.tune("optimizer=sgd", "space=lr", "trials=3", "steps=5")
        >>> [round(tried.values["optimizer.lr"], 5) for tried in study.tried()]
        [1e-05, 0.0001, 0.001]
    """
    from optbench.assemble.create import need

    check_texts("tune", overrides)
    check_folders(folder, config_dir)
    need("optuna", "tune", "tune")
    from optbench.tuning.tune import folder_wanted
    from optbench.tuning.tune import tune as search

    with composer_of(config_dir) as composer, of_a_library(quiet) as (log, _):
        wanted = os.fspath(folder) if folder is not None else folder_wanted(composer)
        searched = search(composer, overrides, wanted, log)
        if searched.study.plan.against and not searched.signal and not searched.fault:
            from optbench.benchmark.against import against

            searched = replace(searched, signal=against(composer, searched, log).rival.signal)
    if searched.signal:
        signal.raise_signal(searched.signal)
    if searched.fault:
        raise UserError(f"{searched.study.folder}: {searched.fault}; resume goes on with it")
    return searched.study
