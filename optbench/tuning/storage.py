"""A study's journal: a file to which what was asked and told is appended, by any process."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optbench.files import naming, open_regular

if TYPE_CHECKING:
    from optuna import Study
    from optuna.samplers import BaseSampler
    from optuna.storages.journal import JournalFileSymlinkLock
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


STALE_SECONDS = 10
"""A lock of the journal that is as old, by a clock that is not set back, is one that a kill left:
it is held for milliseconds."""


def mend(journal: Path) -> None:
    """Leave out half a line at the end, of a process that was killed; one may still be writing.

    Raises:
        BadFile: it is a link, or no file.
    """
    if not os.path.lexists(journal):
        return
    with os.fdopen(open_regular(journal, os.O_RDWR), "r+b") as file, _locked(journal):
        data = file.read()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            file.truncate(whole)
            os.fsync(file.fileno())


@contextmanager
def _locked(journal: Path) -> Iterator[None]:
    """Take the lock under which all write to the journal."""
    left = journal.with_name(f"{journal.name}.lock")  # a link to the journal
    with suppress(FileNotFoundError):
        if os.path.islink(left) and not (left.exists() and left.samefile(journal)):
            left.unlink()  # of a study that was moved or copied since, which would never be over
    lock = _lock(str(journal))
    lock.acquire()
    try:
        yield
    finally:
        with suppress(RuntimeError):  # taken from us, as one that a kill left
            lock.release()


def _lock(journal: str) -> JournalFileSymlinkLock:
    import optuna
    from optuna.storages.journal import JournalFileSymlinkLock

    optuna.logging.set_verbosity(optuna.logging.ERROR)  # else it warns of a lock that a kill left
    return JournalFileSymlinkLock(journal, grace_period=STALE_SECONDS)


@lru_cache(maxsize=4)
def _opened(journal: str, mode: str) -> Study:
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    class Backend(JournalFileBackend):
        def append_logs(self, logs: list[dict[str, Any]]) -> None:
            try:
                with naming(journal):
                    super().append_logs(logs)
            except OSError:  # of a full disk, which has half of it: others may go on writing
                with suppress(OSError):
                    mend(Path(journal))
                raise

    storage = JournalStorage(Backend(journal, lock_obj=_lock(journal)))
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
