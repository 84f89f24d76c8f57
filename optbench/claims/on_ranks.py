"""Runs of a claim on several ranks: `train -m` under torchrun, by gloo, on this machine."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from optbench.compose.quoting import value_text
from optbench.errors import UserError
from optbench.rundir import PLAN, RunDir
from optbench.runs.result import RunResult, load_result
from optbench.runs.torchrun import torchrun


def on_ranks(
    folder: Path,
    words: Sequence[str],
    *,
    ranks: int,
    runs: int,
    done: Sequence[str],
    config_dir: str | None,
) -> list[RunResult]:
    """Do a sweep, each run on all ranks; what is done is not done again.

    Args:
        folder: of the sweep.
        words: as of `train -m`.
        ranks: how many.
        runs: of the sweep, that many.
        done: states of a run that has come to an end of its own.
        config_dir: of the user's own config files.

    Raises:
        UserError: the ranks ended badly; what they said.
    """
    folders = [RunDir(folder / str(number)) for number in range(runs)]
    if any(each.state not in done for each in folders):
        if os.path.lexists(folder / PLAN):
            lines = ["resume", str(folder)]
        else:
            if folder.exists():  # of one that was killed before it had a plan
                shutil.rmtree(folder)
            lines = ["train", "-m", *words, f"hydra.sweep.dir={value_text(str(folder.absolute()))}"]
        own = [] if config_dir is None else ["--config-dir", config_dir]
        why = torchrun(ranks, [*lines, *own])
        if why and any(each.state not in done for each in folders):
            raise UserError(f"{folder}: {ranks} ranks: {why.removeprefix('optbench: ')}")
    return [load_result(each) for each in folders]
