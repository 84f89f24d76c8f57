"""A study's runs: of trials that were left, then of new ones, as many as are planned."""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from optbench.config.flow import flow
from optbench.config.run_spec import RunSpec
from optbench.errors import UserError
from optbench.executors.jobs import Job
from optbench.rundir import RunDir
from optbench.runs.result import RunResult
from optbench.runs.result import score as score_of
from optbench.runs.sweep import ELSEWHERE
from optbench.statistics import is_score
from optbench.tuning.pruning import PRUNED, Pruning
from optbench.tuning.study import Study, Trial

if TYPE_CHECKING:
    from optbench.training.callback import Callback

DONE = ("finished", "stopped_early", "diverged", "failed", "over limit")
"""States of a run that is told; whose process was killed twice is left to who resumes the study."""


class TrialJobs:
    """Gives the runs of a study's trials, and tells the study what they came to.

    Args:
        study: of which.
        spec: makes a run of the lines that a trial has of its own.
        words: returns a trial's own lines, given its values.
        at_a_time: trials that are asked for together, once all before them are over; 0 where the
            next one is as soon as there is somebody to do it.

    Attributes:
        total: runs of the whole study.
        before: how many of them were over when the study was gone on with.
        ended_by: what of the machine ended the study, such as a full disk; empty for nothing.
    """

    def __init__(
        self,
        study: Study,
        spec: Callable[[Sequence[str]], RunSpec],
        words: Callable[[Trial], Sequence[str]],
        at_a_time: int = 0,
    ) -> None:
        self._study, self._spec, self._words = study, spec, words
        self._at_a_time = at_a_time
        self._open: set[int] = set()
        self._runs = len(study.plan.runs)
        self.total = study.plan.trials * self._runs
        self._waiting: deque[tuple[Trial, int]] = deque()
        self._trials: dict[int, Trial] = {}
        self._given_up: set[int] = set()
        self.ended_by = ""
        ended = study.asked
        for trial in study.running():
            self._plan(trial)
            ended -= 1
        begun = sum(len(trial.scores) for trial in self._trials.values())
        self.before = ended * self._runs + begun

    def _plan(self, trial: Trial) -> None:
        """Put the runs of a trial that are not done yet in the queue; tell of one that has none."""
        self._trials[trial.place] = trial
        self._open.add(trial.place)
        left = [run for run in range(self._runs) if run not in trial.scores]
        self._waiting.extend((trial, run) for run in left)
        if not left:
            self._tell(trial)

    def _tell(self, trial: Trial, pruned: bool = False) -> None:
        self._study.tell(trial, pruned)
        self._open.discard(trial.place)

    def next(self) -> Job | None:
        """Return the next run, of a new trial if no other has one left."""
        while not self.ended_by:
            while self._waiting:
                trial, run = self._waiting.popleft()
                if trial.place not in self._given_up:
                    return self._job(trial, run)
            if self._study.asked >= self._study.plan.trials or not self._asks:
                return None
            self._plan(self._study.ask())
        return None

    @property
    def _asks(self) -> bool:
        """Whether a trial may be asked for now: the first of some only if none is open.

        So what is asked for depends on no kill, before which all of some have been asked for.
        """
        return not self._at_a_time or bool(self._study.asked % self._at_a_time) or not self._open

    def _job(self, trial: Trial, run: int) -> Job:
        plan = self._study.plan
        own = [*self._words(trial), *plan.runs[run]]
        name = str(trial.place) if self._runs == 1 else f"{trial.place}-{run}"
        callbacks: list[Callback] = []
        if plan.pruner in ("median", "hyperband"):
            journal = self._study.journal
            callbacks.append(Pruning(journal, trial.place, plan.pruner, plan.metric, plan.mode))
        folder = RunDir(self._study.folder / name)
        if os.path.islink(folder.path):
            raise UserError(f"{folder.path}: a link, where a folder is meant")
        if folder.path.exists():
            folder.inspect()
        number = trial.place * self._runs + run
        said = " ".join([*said_of(trial.values), *plan.runs[run]])
        return Job(number, said, self._spec(own), folder, callbacks=callbacks)

    def take(self, job: Job, result: RunResult) -> None:
        """Tell the study of a run, and of the trial if that was its last one."""
        if result.machines:  # no fault of its values
            self.ended_by = result.message
            return
        place, run = divmod(job.number, self._runs)
        trial = self._trials[place]
        if result.state == ELSEWHERE or result.state not in DONE or place in self._given_up:
            return
        pruned = result.state == "stopped_early" and result.message.startswith(PRUNED)
        score = self._score(result)
        if pruned or self._study.tell_run(trial, run, score):
            self._given_up.add(place)
            self._tell(trial, pruned=True)
        elif not math.isfinite(score):  # nor is the mean, whatever the others come to
            self._given_up.add(place)
            self._tell(trial)
        elif len(trial.scores) == self._runs:
            self._tell(trial)

    def _score(self, result: RunResult) -> float:
        """Return a run's best score by the study's metric; the worst if it has none."""
        value = score_of(result, self._study.plan.metric)
        ended_well = result.state in ("finished", "stopped_early")
        if not ended_well or value is None or not is_score(value):
            return self._study.worst
        return value


def said_of(values: Mapping[str, Any]) -> list[str]:
    """Return values as they are shown: four digits say which trial it is."""
    return [
        f"{key}={value:.4g}" if isinstance(value, float) else f"{key}={flow(value)}"
        for key, value in values.items()
    ]
