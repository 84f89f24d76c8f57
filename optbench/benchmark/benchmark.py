"""A benchmark from its beginning to its end, or from where it was left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from optbench.assemble.create import need
from optbench.benchmark.asked import WORDS, Asked, asked
from optbench.benchmark.at_once import check_number, executor_of, refuse_number_elsewhere
from optbench.benchmark.contenders import Contender, contenders, from_plain
from optbench.benchmark.plan import BenchmarkPlan, read_plan, write_plan
from optbench.benchmark.problems import Problem, problems_of
from optbench.benchmark.protocol import BenchmarkJobs
from optbench.benchmark.results import ProblemResult, results_of, write_report
from optbench.compose.composer import Composer
from optbench.compose.executors import ExecutorChoice, gone_on_with, without_executor
from optbench.config.identity import digest
from optbench.errors import UserError
from optbench.executors.base import Executor
from optbench.executors.gathered import Gathered
from optbench.executors.make import make_executor
from optbench.executors.many import do_all
from optbench.rundir import RunDir
from optbench.runs.log import Log
from optbench.runs.populations import Grouping
from optbench.statistics import least_pairs
from optbench.tuning.tune import alone, refuse_ranks, reserved
from optbench.tuning.words import count, words_of


@dataclass(frozen=True)
class Benchmarked:
    """A benchmark that was at work.

    Attributes:
        jobs: with what its runs came to.
        results: of the workloads whose runs are all over.
        signal: that ended it, 0 for none.
        fault: of the machine, that ended it; empty for none.
    """

    jobs: BenchmarkJobs
    results: Sequence[ProblemResult]
    signal: int
    fault: str = ""

    @property
    def folder(self) -> Path:
        """Return the benchmark's folder."""
        return self.jobs.folder.path

    @property
    def done(self) -> bool:
        """Return whether no run is left."""
        return not self.jobs.left


def benchmark(composer: Composer, overrides: Sequence[str], folder: str, log: Log) -> Benchmarked:
    """Begin a benchmark and do it.

    Everything is checked before its folder is made.

    Args:
        composer: of its runs.
        overrides: of the runs, with the benchmark's own words among them.
        folder: wanted for it.
        log: whom to tell.

    Raises:
        UserError: bad input.
    """
    refuse_ranks("benchmark")
    need("scipy", "compare", "benchmark")
    choice, rest = without_executor(composer, overrides)
    wanted = asked(composer, rest)
    make_executor(choice, log).close()
    plan = _planned(wanted, composer, choice)
    problems = problems_of(composer, plan.workloads, wanted.optimizers, plan.trials, plan.seed)
    grouping = Grouping(log.tell)
    check_number(plan, problems, choice, grouping)
    made = reserved(folder, lambda path: write_plan(path, plan), log)
    executor = executor_of(plan, problems, choice, grouping, log=log)
    return _do(made, plan, problems, executor, log)


def folder_wanted(composer: Composer, own: Sequence[str] = ()) -> str:
    """Return where a benchmark goes: `runs/benchmarks/DATE/TIME`, unless `own` says it."""
    wanted = composer.folder_of_sweep(own)
    return wanted if own else wanted.replace("/sweeps/", "/benchmarks/")


def _planned(wanted: Asked, composer: Composer, choice: ExecutorChoice) -> BenchmarkPlan:
    workloads = {name: list(lines) for name, lines in wanted.suite.workloads.items()}
    return BenchmarkPlan(
        suite=wanted.suite.name,
        suite_hash=digest(workloads),
        source=wanted.suite.source,
        workloads=workloads,
        optimizers=[each.as_plain() for each in wanted.optimizers],
        trials=wanted.trials,
        seeds=wanted.seeds,
        seed=wanted.seed,
        executor=choice.lines,
        schedules=wanted.schedules,
        config_dir=composer.config_dir,
    )


def go_on(composer: Composer, folder: Path, overrides: Sequence[str], log: Log) -> Benchmarked:
    """Go on with a benchmark, or do more of it; what is done is not done again.

    Args:
        composer: of its runs.
        folder: the benchmark's.
        overrides: who does the runs; `optimizers` that join, with their `search`; more `trials`
            and `seeds`.
        log: whom to tell.

    Raises:
        UserError: another change, no benchmark, or another process is at it.
    """
    refuse_ranks("benchmark")
    need("scipy", "compare", "benchmark")
    plan = read_plan(folder)
    choice, rest = without_executor(composer, gone_on_with(plan.executor, overrides))
    plan, optimizers = _more(composer, plan, rest)
    problems = problems_of(composer, plan.workloads, optimizers, plan.trials, plan.seed)
    refuse_number_elsewhere(plan, problems, choice)
    made = RunDir(folder)
    with alone(made, Log(draws=False, tells=False)):
        write_plan(folder, plan)
    executor = executor_of(plan, problems, choice, Grouping(log.tell), log=log)
    return _do(made, plan, problems, executor, log)


def _more(
    composer: Composer, plan: BenchmarkPlan, overrides: Sequence[str]
) -> tuple[BenchmarkPlan, list[Contender]]:
    """Return a plan with more in it, and all its optimizers."""
    said, rest = words_of(composer, overrides, WORDS)
    if rest or "suite" in said:
        line = rest[0] if rest else said.line("suite")
        raise UserError(
            f"{line}: a benchmark goes on as planned, but for optimizers, schedules, trials, "
            "seeds, executor"
        )
    for name, planned in (("trials", plan.trials), ("seeds", plan.seeds)):
        wanted = count(said, name)
        if wanted is not None and wanted < planned:
            raise UserError(f"{name}={wanted}: expected at least the {planned} planned")
    optimizers = [from_plain(each) for each in plan.optimizers]
    known = {each.name: each for each in optimizers}
    if "search" in said and "optimizers" not in said:
        raise UserError("search: of optimizers that join: optimizers=[NAME]")
    if "schedules" in said and "optimizers" not in said:
        raise UserError("schedules: of which optimizers? optimizers=[NAME]")
    if "optimizers" in said:
        schedules = said.get("schedules", plan.schedules)
        for each in contenders(composer, said["optimizers"], said.get("search"), schedules):
            before = known.get(each.name)
            if before is None:
                optimizers.append(each)
            elif before.as_plain() != each.as_plain():
                raise UserError(f"optimizers: {each.name}: there already, as another one")
    more = replace(
        plan,
        optimizers=[each.as_plain() for each in optimizers],
        trials=said.get("trials", plan.trials),
        seeds=said.get("seeds", plan.seeds),
        config_dir=composer.config_dir,
    )
    return more, optimizers


def _do(
    folder: RunDir,
    plan: BenchmarkPlan,
    problems: Sequence[Problem],
    executor: Executor,
    log: Log,
) -> Benchmarked:
    many = len(plan.optimizers)
    pairs = many * (many - 1) // 2
    if many == 1:
        log.tell("one optimizer: nothing is compared; optimizers=[sgd,adamw] says which is better")
    if pairs and plan.seeds < least_pairs(pairs, 0.95):
        log.tell(
            f"seeds={plan.seeds} can't decide among {many} optimizers, whatever comes "
            f"out: {least_pairs(pairs, 0.95)} is the least"
        )
    with alone(folder, Log(draws=False, tells=False)):
        jobs = BenchmarkJobs(folder, plan, problems, in_turn=isinstance(executor, Gathered))
        ended = do_all(jobs, executor, log)
        if jobs.ended_by:
            log.tell(f"the benchmark stops here: {jobs.ended_by}")
        found = results_of(jobs)
        write_report(jobs, found)
    return Benchmarked(jobs, found, ended, jobs.ended_by)
