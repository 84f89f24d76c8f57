"""Population-based training within a claim: what a population found, and a run that replays it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from optbench.api import train
from optbench.api_population import pbt, resume_pbt
from optbench.claims.experiment import joined
from optbench.errors import UserError
from optbench.rundir import RunDir
from optbench.runs.result import RunResult, load_result
from optbench.which_run import POPULATION


def evolved(
    folder: Path, words: Sequence[str], executor: Sequence[str], config_dir: str | None
) -> dict[str, Any]:
    """Return what a population comes to, as plain data; one that was cut short goes on.

    Args:
        folder: its own.
        words: of the population and of its runs.
        executor: the words that say who does the runs.
        config_dir: of the user's own config files.

    Returns:
        `metric`; `rounds`, of the best member's line the values and the score of each; and the
        `overrides` that train with these values from scratch.

    Raises:
        UserError: bad input; no member is left, or nothing of it can be replayed.
    """
    if os.path.lexists(folder / POPULATION):
        found = resume_pbt(folder, *executor, config_dir=config_dir)
    else:
        if folder.exists():  # of one that was killed before it had a plan
            shutil.rmtree(folder)
        found = pbt(*words, *executor, folder=folder, config_dir=config_dir)
    if found.replay is None:
        raise UserError(f"{folder}: {found.message or 'nothing of it can be replayed'}")
    rounds = [{"values": dict(each.values), "score": each.score} for each in found.history]
    return {"metric": found.metric, "rounds": rounds, "overrides": list(found.overrides)}


def replayed(
    folder: Path,
    found: Mapping[str, Any],
    words: Sequence[str],
    done: Sequence[str],
    config_dir: str | None,
) -> RunResult:
    """Train from scratch with what a population found; a run that was cut short begins anew.

    Args:
        folder: of the run.
        found: what `evolved` gave.
        words: further overrides, the seed among them.
        done: states of a run that has come to an end of its own.
        config_dir: of the user's own config files.
    """
    before = RunDir(folder)
    if before.state in done:
        return load_result(before)
    if folder.exists():
        shutil.rmtree(folder)
    lines = joined(found["overrides"], words)
    return train(*lines, folder=folder, config_dir=config_dir)
