"""Populations from Python: `optbench.pbt`, and `resume_pbt`, which goes on with one."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from optbench.compose.texts import check_texts
from optbench.errors import UserError
from optbench.library import Path, check_folders, composer_of, of_a_library

if TYPE_CHECKING:
    from optbench.population.pbt import Evolved
    from optbench.population.result import Population


def pbt(
    *overrides: str,
    folder: Path | None = None,
    quiet: bool = True,
    config_dir: str | None = None,
) -> Population:
    """Train a population whose worst members copy its best, as `optbench pbt` does.

    Args:
        overrides: of the runs, and the words of the population: `space=lr`, `members=4`.
        folder: of the population. Default: in `runs/studies/`.
        quiet: say nothing; else what `optbench pbt` says as it goes on.
        config_dir: a folder of your own config files.

    Returns:
        What it came to: `members`, the `winner` and its `history`, the file that `replay`s it.

    Raises:
        UserError: bad input; a full disk, whereafter `optbench resume` goes on with the folder.

    Example:
        >>> found = optbench.pbt("space=lr", "members=2", "rounds=2", "steps=6")
        >>> [sorted(each.values) for each in found.history]
        [['optimizer.lr'], ['optimizer.lr']]
    """
    from optbench.population.pbt import pbt as evolve
    from optbench.population.result import population_of
    from optbench.tuning.tune import folder_wanted

    check_texts("pbt", overrides)
    check_folders(folder, config_dir)
    with composer_of(config_dir) as composer, of_a_library(quiet) as (log, _):
        wanted = os.fspath(folder) if folder is not None else folder_wanted(composer)
        evolved = evolve(composer, overrides, wanted, log)
        found = population_of(evolved)
    return _ended(evolved, found)


def resume_pbt(
    path: Path, *overrides: str, quiet: bool = True, config_dir: str | None = None
) -> Population:
    """Go on with a population, as `optbench resume` does; of one that is done, what it came to.

    Args:
        path: the population's folder.
        overrides: who does the runs, such as `executor=local`; nothing else can change.
        quiet, config_dir: as for `pbt`.

    Returns:
        What `pbt` gives.

    Raises:
        UserError: no population, or one that can't go on; a full disk, as for `pbt`.

    Example:
        >>> words = ["space=lr", "members=2", "rounds=2", "steps=6"]
        >>> found = optbench.pbt(*words, folder="runs/population")
        >>> optbench.resume_pbt("runs/population").overrides == found.overrides
        True
    """
    from optbench.population.pbt import go_on
    from optbench.population.plan import read_plan
    from optbench.population.result import population_of
    from optbench.rundir import path_of
    from optbench.which_folder import refuse_no_folder
    from optbench.which_run import POPULATION

    check_texts("resume_pbt", overrides)
    folder = path_of(path).absolute()
    if not os.path.lexists(folder / POPULATION):
        refuse_no_folder(folder, str(path))
        raise UserError(f"{path}: not a population's folder: it has no {POPULATION}")
    config_dir = config_dir or read_plan(folder).config_dir
    with composer_of(config_dir) as composer, of_a_library(quiet) as (log, _):
        evolved = go_on(composer, folder, overrides, log)
        found = population_of(evolved)
    return _ended(evolved, found)


def _ended(evolved: Evolved, found: Population) -> Population:
    """Return what a population came to, unless a signal or the machine ended it."""
    if evolved.signal:
        signal.raise_signal(evolved.signal)
    if evolved.fault:
        raise UserError(f"{found.folder}: {evolved.fault}; resume goes on with it")
    return found
