"""Whether a benchmark's runs are trained at once, and can be so many as are asked for."""

from __future__ import annotations

from collections.abc import Sequence

from optbench.benchmark.plan import BenchmarkPlan
from optbench.benchmark.problems import Problem
from optbench.compose.executors import SERIAL, ExecutorChoice
from optbench.errors import UserError
from optbench.executors.base import Executor
from optbench.executors.gathered import gathering
from optbench.executors.make import make_executor
from optbench.runs.log import Log
from optbench.runs.populations import Grouping, refuse_elsewhere


def check_number(
    plan: BenchmarkPlan, problems: Sequence[Problem], choice: ExecutorChoice, grouping: Grouping
) -> None:
    """Refuse a number of runs at once that none of the runs can be trained with.

    Those of an optimizer that can't go at once are done one by one where others can.

    Args:
        plan: of the benchmark.
        problems: its workloads.
        choice: who does the runs.
        grouping: which remembers the shapes that were tried.

    Raises:
        UserError: other processes do the runs, no two runs can be trained at once, or so many do
            not fit into memory.
    """
    refuse_number_elsewhere(plan, problems, choice)
    refused: UserError | None = None
    for problem in problems:
        for each in problem.contenders:
            base = problem.tuning(each, 0, plan.seed)
            wanted = base.config.sweep.population
            if not isinstance(wanted, int):
                return
            try:
                grouping.of([base] * min(wanted, plan.trials + plan.seeds))
                return
            except UserError as error:
                refused = refused or error
    if refused is not None:
        raise refused


def refuse_number_elsewhere(
    plan: BenchmarkPlan, problems: Sequence[Problem], choice: ExecutorChoice
) -> None:
    """Raise UserError where a number of runs at once is asked of other processes."""
    for problem in problems:
        base = problem.tuning(problem.contenders[0], 0, plan.seed)
        refuse_elsewhere(base, choice.name != SERIAL)


def executor_of(
    plan: BenchmarkPlan,
    problems: Sequence[Problem],
    choice: ExecutorChoice,
    grouping: Grouping,
    log: Log,
) -> Executor:
    """Return who does the runs: here those of one shape at once, unless that is off everywhere.

    Args:
        plan: of the benchmark.
        problems: its workloads.
        choice: who does the runs.
        grouping: which remembers the shapes that were tried.
        log: whom to tell.
    """
    executor = make_executor(choice, log)
    bases = (problem.tuning(problem.contenders[0], 0, plan.seed) for problem in problems)
    if all(base.config.sweep.population == "off" for base in bases):
        return executor
    return gathering(executor, log, grouping)
