"""A benchmark's runs: of each workload the trials, then what they chose with fresh seeds.

Each lies in `runs/HASH`, by what decides its result, so that nothing is done twice, whoever asks
for it: two optimizers, a trial that was the defaults, or a benchmark that has more seeds today.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from optbench.benchmark.contenders import Contender
from optbench.benchmark.plan import BenchmarkPlan
from optbench.benchmark.problems import Problem, score_at_end
from optbench.config.identity import identity
from optbench.config.run_spec import RunSpec
from optbench.errors import UserError
from optbench.executors.jobs import Job
from optbench.files import load_yaml
from optbench.rundir import RunDir
from optbench.runs.result import RunResult, load_result
from optbench.runs.sweep import ELSEWHERE
from optbench.tuning.trials import said_of
from optbench.which_run import RUNS

LEFT = (ELSEWHERE, "preempted", "running")
"""States of a run that goes on."""
Arm = Literal["tuned", "defaults"]
ARMS: tuple[Arm, Arm] = ("tuned", "defaults")


@dataclass(frozen=True)
class Wanted:
    """One run that the protocol asks for.

    Attributes:
        problem, contender: of which.
        seed: of the run.
        trial: whose setting it has; None of a fresh seed.
        arm: of a fresh seed: what was chosen, or the defaults.
    """

    problem: Problem
    contender: Contender
    seed: int
    trial: int | None = None
    arm: Arm = "tuned"


class BenchmarkJobs:
    """Gives the runs of a benchmark: optimizers take turns, for each trial and for each seed.

    Args:
        folder: of the benchmark.
        plan: what is to be done.
        problems: the workloads, with the optimizers that take part.
        in_turn: give no run of a workload as long as others are out on whose ends runs of the one
            before it wait.

    Attributes:
        total: runs of the whole, at most: a choice that is the defaults takes none.
        before: how many of them were done before.
        ended_by: what of the machine ended it, such as a full disk; empty for nothing.
    """

    def __init__(
        self,
        folder: RunDir,
        plan: BenchmarkPlan,
        problems: Sequence[Problem],
        in_turn: bool = False,
    ) -> None:
        self.folder, self.plan, self.problems = folder, plan, problems
        self._in_turn = in_turn
        self.ended_by = ""
        self.results: dict[str, RunResult] = {}
        self._given: set[str] = set()
        self._out: set[str] = set()
        self._names: dict[tuple[str, str, int, int, bool], str] = {}
        self._specs: dict[str, RunSpec] = {}
        self._numbers = 0
        self._queue = [
            wanted
            for problem in problems
            for wanted in (*self._tuning(problem), *self._confirming(problem))
        ]
        self._waiting = list(self._queue)
        names = set()
        unknown = 0
        for wanted in self._queue:
            name = self.name(wanted)
            names |= {name} if name else set()
            unknown += name is None
        self.before = len(names & self.results.keys())
        self.total = len(names) + unknown
        self._numbers = self.before

    def _tuning(self, problem: Problem) -> Iterator[Wanted]:
        for trial in range(self.plan.trials):
            for each in problem.contenders:
                yield Wanted(problem, each, self.plan.seed, trial)

    def _confirming(self, problem: Problem) -> Iterator[Wanted]:
        for seed in self.plan.fresh:
            for arm in ARMS if self.plan.trials > 1 else ARMS[:1]:
                for each in problem.contenders:
                    yield Wanted(problem, each, seed, arm=arm)

    def name(self, wanted: Wanted) -> str | None:
        """Return the folder of a run in `runs`; None as long as it is not known what is chosen."""
        problem, each = wanted.problem, wanted.contender
        fresh = wanted.trial is None
        number = wanted.trial
        if number is None:
            number = 0 if wanted.arm == "defaults" else self.chosen(problem, each)
            if number is None:
                return None
        key = (problem.name, each.name, number, wanted.seed, fresh)
        if key not in self._names:
            make = problem.confirming if fresh else problem.tuning
            spec = make(each, number, wanted.seed)
            name = identity(spec.plain)
            self._names[key] = name
            self._specs.setdefault(name, spec)
            self._look(name)
        return self._names[key]

    def _look(self, name: str) -> None:
        """Take what a run came to that was done before.

        Raises:
            UserError: its config is another than its name says.
        """
        folder = self.at(name)
        if name in self.results or not os.path.lexists(folder.path):
            return
        if folder.path.is_symlink():
            raise UserError(f"{folder.path}: a link, where a folder is meant")
        folder.inspect()
        if os.path.lexists(folder.config):
            plain = load_yaml(folder.config)
            if not isinstance(plain, dict) or identity(plain) != name:
                raise UserError(
                    f"{folder.path}: its config is not the one that it was begun with; remove the "
                    "folder, and it is done again"
                )
            if folder.done:
                self.results[name] = load_result(folder)

    def at(self, name: str) -> RunDir:
        """Return the folder of a run."""
        return RunDir(self.folder.path / RUNS / name)

    def trial(self, problem: Problem, contender: Contender, number: int) -> str:
        """Return the name of a trial's run."""
        name = self.name(Wanted(problem, contender, self.plan.seed, number))
        assert name is not None
        return name

    def chosen(self, problem: Problem, contender: Contender) -> int | None:
        """Return the best trial by the validation set; None as long as one is not over.

        Of equals it is the first, and the defaults where none has a score.
        """
        best, top = 0, None
        for number in range(self.plan.trials):
            result = self.results.get(self.trial(problem, contender, number))
            if result is None:
                return None
            score = score_at_end(result, problem.metric)
            if score is not None and (top is None or problem.better(score, top)):
                best, top = number, score
        return best

    def next(self) -> Job | None:
        """Return the next run; None until trials are over that the rest waits for, and at the end.

        While some of a workload's trials go on, the next workload's begin: nobody is idle, unless
        workloads are in turn.
        """
        if self.ended_by:
            return None
        passed: list[Wanted] = []
        while self._waiting:
            if self._out and passed and self._waiting[0].problem is not passed[0].problem:
                break
            wanted = self._waiting.pop(0)
            name = self.name(wanted)
            if name is None:
                passed.append(wanted)
            elif name not in self.results and name not in self._given:
                self._waiting[:0] = passed
                return self._job(wanted, name)
        self._waiting[:0] = passed
        return None

    def _job(self, wanted: Wanted, name: str) -> Job:
        self._given.add(name)
        if self._in_turn:
            self._out.add(name)
        problem, each = wanted.problem, wanted.contender
        said = [problem.name, each.name]
        if wanted.trial is None:
            said += [f"seed={wanted.seed}", wanted.arm]
        else:
            values = problem.trials[each.name][wanted.trial].values
            said += [f"trial {wanted.trial}", *(said_of(values) or ["defaults"])]
        folder = self.at(name)
        folder.path.parent.mkdir(exist_ok=True)
        self._numbers += 1
        return Job(self._numbers - 1, " ".join(said), self._specs[name], folder)

    def take(self, job: Job, result: RunResult) -> None:
        """Keep what a run came to, unless it goes on, or the machine ended it."""
        self._out.discard(job.folder.path.name)
        if result.machines:
            self.ended_by = result.message
        elif result.state not in LEFT:
            self.results[job.folder.path.name] = result

    @property
    def left(self) -> int:
        """How many runs are not over, as far as it is known which there are."""
        names = [self.name(wanted) for wanted in self._queue]
        known = {name for name in names if name is not None and name not in self.results}
        return len(known) + sum(name is None for name in names)
