"""A population's runs: round after round, each a run folder `ROUND-MEMBER`.

Nothing is kept beside the plan and these folders: what a round is to do follows from the scores of
the rounds before.
"""

from __future__ import annotations

import math
import shutil
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from optbench.config.run_spec import RunSpec
from optbench.errors import UserError, is_machines, reason
from optbench.executors.jobs import Job
from optbench.population.evolve import Member, first_round, next_round, ranked
from optbench.population.plan import PopulationPlan
from optbench.rundir import RunDir
from optbench.runs.branch import branch
from optbench.runs.left import KILLED
from optbench.runs.lock import is_locked
from optbench.runs.log import Log
from optbench.runs.result import RunResult, load_result
from optbench.runs.resume import continuation
from optbench.runs.trust import Seal
from optbench.runs.with_parent import GRACE_SECONDS
from optbench.search.space import Space
from optbench.training.callback import Callback
from optbench.tuning.trials import said_of

if TYPE_CHECKING:
    from optbench.training.trainer import Trainer

GOOD = ("finished", "stopped_early")
LOST = ("diverged", "failed", KILLED, "over limit")
"""States of a member that is replaced."""


class RoundEnd(Callback):
    """Asks a run to stop at the end of its round, where it is scored and saved.

    Args:
        step: the round's last.
        said: why the run stops, for its message.
    """

    def __init__(self, step: int, said: str) -> None:
        self.step, self.said = step, said
        self.every = step

    def on_start(self, trainer: Trainer) -> None:
        """Stop a run that was killed after its last checkpoint: it has no step left to take."""
        self.on_due(trainer, trainer.progress.step)

    def on_due(self, trainer: Trainer, step: int) -> None:
        """Ask for the stop, at the only step of the round that is due."""
        if step >= self.step:
            trainer.request_stop(self.said)


@dataclass
class Round:
    """One round: its members, and what they came to as far as it is known."""

    members: list[Member]
    scores: dict[int, float | None]

    @property
    def over(self) -> bool:
        """Whether all members have come to something."""
        return len(self.scores) == len(self.members)

    def in_order(self) -> list[float | None]:
        """Return the scores by member, None of those that are lost."""
        return [self.scores.get(m) for m in range(len(self.members))]


class PopulationJobs:
    """Gives the runs of a population, each when its round has begun.

    Args:
        folder: the population's.
        plan: what is to be done.
        space: that of the plan.
        spec: makes a run of the first round, given the lines of its own.
        lines: returns a member's own overrides, given its values.

    Attributes:
        total: runs of the whole.
        before: how many of them were over when it was gone on with.
        rounds: those that have begun.
        ended_by: what of the machine ended the population, such as a full disk; empty for nothing.
    """

    def __init__(
        self,
        folder: RunDir,
        plan: PopulationPlan,
        space: Space,
        spec: Callable[[Sequence[str]], RunSpec],
        lines: Callable[[Mapping[str, object]], list[str]],
    ) -> None:
        self.folder, self.plan, self.space = folder, plan, space
        self._spec, self._lines = spec, lines
        self.total = plan.members * plan.rounds
        self.rounds: list[Round] = []
        self.ended_by = ""
        self._waiting: deque[int] = deque()
        while self._begin():
            pass
        last = self.rounds[-1]
        if last.over and not any(score is not None for score in last.scores.values()):
            self._once_more(last)
        self.before = sum(len(each.scores) for each in self.rounds)

    def _begin(self) -> bool:
        """Begin the next round, with what is known of it; return whether it is over already."""
        number = len(self.rounds)
        if number == self.plan.rounds:
            return False
        if not self.rounds:
            members = first_round(self.space, self.plan.members, self.plan.seed)
        else:
            plan, last = self.plan, self.rounds[-1]
            if not ranked(last.in_order(), plan.mode):
                return False
            members = next_round(
                self.space,
                last.members,
                last.in_order(),
                number,
                seed=plan.seed,
                mode=plan.mode,
                quantile=plan.quantile,
                resample=plan.resample,
            )
        self.rounds.append(Round(members, {}))
        for m in range(len(members)):
            folder = self.at(number, m)
            if folder.state in (*GOOD, *LOST):
                self._know(number, m, load_result(folder))
        self._tidy(number - 1)
        known = self.rounds[-1]
        self._waiting.extend(m for m in range(len(members)) if m not in known.scores)
        return known.over

    def _once_more(self, last: Round) -> None:
        """Do again what failed, where nothing else is left: it may be mended meanwhile."""
        for m in range(len(last.members)):
            if self.at(len(self.rounds) - 1, m).state == "failed":
                del last.scores[m]
                self._waiting.append(m)

    def at(self, number: int, member: int) -> RunDir:
        """Return the folder of a member's run in a round."""
        return RunDir(self.folder.path / f"{number}-{member}")

    @property
    def lost(self) -> bool:
        """Whether no member is left to go on with."""
        last = self.rounds[-1]
        return last.over and not ranked(last.in_order(), self.plan.mode)

    @property
    def done(self) -> bool:
        """Whether all rounds are over."""
        return len(self.rounds) == self.plan.rounds and self.rounds[-1].over

    def why_lost(self) -> str:
        """Return a line that says what became of the last members, where none is left."""
        number = len(self.rounds) - 1
        ends = [load_result(self.at(number, m)) for m in range(self.plan.members)]
        last = ends[-1]
        why = f": {last.message}" if last.message else ""
        return (
            f"no member is left after round {number + 1} of {self.plan.rounds}; "
            f"{last.folder.path.name} {last.state}{why}"
        )

    def next(self) -> Job | None:
        """Return the next run of the round; None until the round is over, and at the end."""
        while not self._waiting:
            if self.ended_by or not self.rounds[-1].over:
                return None
            begun = len(self.rounds)
            self._begin()
            if len(self.rounds) == begun:
                return None
        if self.ended_by:
            return None
        try:
            return self._job(len(self.rounds) - 1, self._waiting.popleft())
        except OSError as error:  # as its folder is made: what it had goes on from the round before
            if not is_machines(error):
                raise
            self.ended_by = reason(error)
            return None

    def _job(self, number: int, m: int) -> Job:
        plan, member = self.plan, self.rounds[number].members[m]
        folder = self.at(number, m)
        spec, seals = self._prepared(number, m, member)
        whom = f" from {number - 1}-{member.parent}" if member.copied else ""
        said = f"{number}-{m}{whom} {' '.join(said_of(member.values))}"
        end = [RoundEnd(plan.end(number), f"round {number + 1} of {plan.rounds}")]
        last = number == plan.rounds - 1  # which ends by itself
        return Job(
            number * plan.members + m, said, spec, folder, seals, callbacks=[] if last else end
        )

    def _prepared(self, number: int, m: int, member: Member) -> tuple[RunSpec, Sequence[Seal]]:
        """Return what a member runs, and the seals of its configs; make its folder if it is none.

        A branch whose status is missing was cut short as it was copied, and is made anew.
        """
        folder, lines = self.at(number, m), self._lines(member.values)
        until = time.monotonic() + GRACE_SECONDS
        while is_locked(folder.log) and time.monotonic() < until:  # by who was killed's process
            time.sleep(0.1)
        config_dir = self.plan.config_dir
        if folder.state is not None and folder.config.is_file():
            going = continuation(folder.path, lines, config_dir)
            return going.spec, going.seals
        if member.parent is None:
            return self._spec(lines), ()
        if folder.path.is_symlink():
            raise UserError(f"{folder.path}: a link, where a folder is meant")
        if folder.path.exists():
            shutil.rmtree(folder.path)
        going = continuation(self.at(number - 1, member.parent).path, lines, config_dir)
        own = Log(draws=False, tells=False)
        with branch(going, self.plan.end(number - 1), folder.path, own) as new:
            return new.spec, new.seals

    def take(self, job: Job, result: RunResult) -> None:
        """Take what a run came to; write it down where its folder does not say it."""
        if result.machines:  # no fault of its values
            self.ended_by = result.message
            return
        number, m = divmod(job.number, self.plan.members)
        if result.state in LOST and job.folder.state not in LOST:
            try:
                job.folder.write_status("failed", result.step, result.message or result.state)
            except OSError as error:
                self.ended_by = reason(error)
                return
        self._know(number, m, result)
        self._tidy(number - 1)

    def _know(self, number: int, m: int, result: RunResult) -> None:
        """Keep a run's score at the end of its round; None of one that is lost."""
        scores = self.rounds[number].scores
        if result.machines:
            return
        if result.state in LOST:
            scores[m] = None
        elif result.state in GOOD:
            value = result.metrics.get(self.plan.metric)
            whole = result.step == self.plan.end(number)
            good = whole and value is not None and math.isfinite(value)
            scores[m] = float(value) if good and value is not None else None

    def _tidy(self, number: int) -> None:
        """Remove the checkpoints of a round from which nobody has to go on any more.

        What a member goes on from is kept until it has come to its own round's end. Scores, and so
        who copies whom, are in other files.
        """
        if number < 0:
            return
        following = self.rounds[number + 1]
        wanted = {
            member.parent for m, member in enumerate(following.members) if m not in following.scores
        }
        for m in range(self.plan.members):
            folder = self.at(number, m)
            if m not in wanted and not folder.path.is_symlink():
                shutil.rmtree(folder.checkpoints, ignore_errors=True)
