"""A study's journal: a file to which what was asked and told is appended, by any process."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from optbench.files import open_regular

if TYPE_CHECKING:
    from optuna import Study
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial, Trial

JOURNAL = "journal.log"
NAME = "study"
DIRECTIONS = {"min": "minimize", "max": "maximize"}


def opened(journal: Path, mode: str) -> Study:
    """Open a study, made if the journal has none; once a process.

    Args:
        journal: its file.
        mode: `min` or `max`.

    Raises:
        OSError, ValueError, KeyError, AssertionError: what optuna makes of a damaged file.
    """
    return _opened(str(journal), mode)


STALE_SECONDS = 5.0
"""After which a lock of the journal is one that a kill left: it is held for milliseconds."""


def mend(journal: Path) -> None:
    """Leave out half a line at the end, and a lock, both of a process that was killed.

    Raises:
        BadFile: it is a link, or no file.
    """
    if not os.path.lexists(journal):
        return
    with os.fdopen(open_regular(journal, os.O_RDWR), "r+b") as file:
        data = file.read()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            file.truncate(whole)
            os.fsync(file.fileno())
    lock = journal.with_name(f"{journal.name}.lock")
    with suppress(OSError):
        if abs(time.time() - os.lstat(lock).st_mtime) > STALE_SECONDS:  # a clock may be set back
            lock.unlink()


@lru_cache(maxsize=4)
def _opened(journal: str, mode: str) -> Study:
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = JournalStorage(JournalFileBackend(journal))
    return optuna.create_study(
        storage=storage,
        study_name=NAME,
        direction=DIRECTIONS[mode],  # type: ignore[arg-type]
        load_if_exists=True,
    )


def in_memory(
    trials: Sequence[FrozenTrial], mode: str, sampler: BaseSampler | None = None
) -> Study:
    """Return a study of some trials that no file knows of."""
    import optuna

    study = optuna.create_study(
        sampler=sampler,
        direction=DIRECTIONS[mode],  # type: ignore[arg-type]
    )
    study.add_trials(trials)
    return study


def asked_trial(study: Study, number: int) -> Trial:
    """Return a trial that was asked for, perhaps by another process, to be told of."""
    import optuna

    return optuna.trial.Trial(study, study.get_trials(deepcopy=False)[number]._trial_id)
