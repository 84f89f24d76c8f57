"""Runs in this process that are thought of one by one: those of one shape at once, once nobody
has another one to give."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING

from optbench.config.run_spec import RunSpec
from optbench.executors.base import Executor
from optbench.executors.population import cancel, do_together, tells_each_step
from optbench.executors.serial import Serial
from optbench.rundir import RunDir
from optbench.runs.log import Log
from optbench.runs.populations import Grouping
from optbench.runs.result import RunResult
from optbench.runs.sweep import run_one
from optbench.runs.together import Asked
from optbench.runs.trust import Seal

if TYPE_CHECKING:
    from optbench.training.callback import Callback

EVERYTHING = 1_000_000
"""Slots of who takes all that there is to give."""


@dataclass(eq=False)
class _Kept:
    """A run that waits, and its place among all that were submitted."""

    place: int
    asked: Asked
    future: Future[RunResult]


@dataclass(frozen=True)
class _Unit:
    """What is done next: runs of one shape, or one run."""

    kept: Sequence[_Kept]
    draws: bool = False


class Gathered:
    """Keeps what is submitted, and does a part of it when it is told that no more comes.

    Who has given all that there is calls `next_unit` and `do_unit`, takes the results, and may then
    give more. Which runs are at once does not depend on the order in which they are given.

    Args:
        log: whom the runs tell.
        grouping: of the runs, which may know their shapes already.
        slots: runs that may wait at a time.
    """

    here = True

    def __init__(self, log: Log, grouping: Grouping | None = None, slots: int = EVERYTHING) -> None:
        self._log, self.slots = log, slots
        self._grouping = grouping or Grouping(log.tell)
        self._submitted = 0
        self._waiting: list[_Kept] = []
        self._units: list[_Unit] | None = None

    def submit(
        self,
        spec: RunSpec,
        folder: RunDir,
        seals: Sequence[Seal] = (),
        callbacks: Sequence[Callback] = (),
    ) -> Future[RunResult]:
        """Keep a run until it is its unit's turn."""
        kept = _Kept(self._submitted, Asked(spec, folder, seals, callbacks), Future())
        self._submitted += 1
        self._waiting.append(kept)
        self._units = None
        return kept.future

    def next_unit(self) -> list[Future[RunResult]]:
        """Return the futures of the runs that `do_unit` does; none where none waits."""
        if self._units is None:
            self._units = self._grouped()
        kept = self._units[0].kept if self._units else []
        return [each.future for each in sorted(kept, key=lambda each: each.place)]

    def _grouped(self) -> list[_Unit]:
        """Return what waits in the parts in which it is done, in the order of their first runs."""
        waiting = sorted(self._waiting, key=_by_name)
        mixing = [each for each in waiting if not any(map(tells_each_step, each.asked.callbacks))]
        found = self._grouping.of([each.asked.spec for each in mixing], strict=False)
        units = [_Unit([mixing[number] for number in each.numbers], each.draws) for each in found]
        together = {kept.place for unit in units for kept in unit.kept}
        units += [_Unit([each]) for each in waiting if each.place not in together]
        return sorted(units, key=lambda unit: min(kept.place for kept in unit.kept))

    def do_unit(self) -> None:
        """Do the runs of `next_unit`, whose futures are done then."""
        if not self.next_unit() or not self._units:
            return
        unit = self._units.pop(0)
        self._waiting = [kept for kept in self._waiting if kept not in unit.kept]
        if len(unit.kept) > 1:
            pairs = [(kept.asked, kept.future) for kept in unit.kept]
            do_together(pairs, self._log, unit.draws)
            return
        (kept,) = unit.kept
        asked = kept.asked
        result = run_one(asked.spec, asked.folder, self._log, asked.seals, asked.callbacks)
        kept.future.set_result(result)

    def stop(self, number: int) -> None:
        """Begin none of those that wait; runs at work take the signal themselves."""
        for kept in self._waiting:
            cancel(kept.future)
        self._waiting, self._units = [], []

    def close(self) -> None:
        """Nothing is left."""


def _by_name(kept: _Kept) -> tuple[int, str]:
    """Return what runs of one shape are ordered by: 2 before 10, and the same after a kill."""
    name = kept.asked.folder.path.name
    return len(name), name


def gathering(
    executor: Executor, log: Log, grouping: Grouping | None = None, slots: int = EVERYTHING
) -> Executor:
    """Return who trains runs of one shape at once, in the place of who does them one by one here.

    Args:
        executor: another one than the serial one is returned as it is.
        log: whom the runs tell.
        grouping: of the runs, which may know their shapes already.
        slots: runs that may wait at a time.
    """
    return Gathered(log, grouping, slots) if isinstance(executor, Serial) else executor
