"""A population from its beginning to its end, or from where it was left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from optbench.compose.composer import Composer
from optbench.compose.executors import (
    SERIAL,
    ExecutorChoice,
    gone_on_with,
    without_executor,
)
from optbench.config.counted import counted
from optbench.config.run_spec import RunSpec
from optbench.errors import UserError
from optbench.executors.gathered import gathering
from optbench.executors.make import make_executor
from optbench.executors.many import do_all
from optbench.population.asked import Asked, asked, check_space
from optbench.population.members import PopulationJobs
from optbench.population.plan import PopulationPlan, read_plan, write_plan
from optbench.rundir import RunDir
from optbench.runs.log import Log
from optbench.runs.populations import check_population, refuse_elsewhere
from optbench.search.space import overrides as lines_of
from optbench.search.space import read_space
from optbench.tuning.choices import NO_TEST, check_ends
from optbench.tuning.tune import (
    alone,
    comparable,
    measured,
    refuse_changed,
    refuse_ranks,
    reserved,
)

OF_EVERY_RUN = (NO_TEST, "checkpoint.final=true")
"""The test set chooses nothing; a round's end is saved, or nobody could go on from it."""


@dataclass(frozen=True)
class Evolved:
    """A population that was at work.

    Attributes:
        jobs: with what its members came to.
        base: a run without a member's values.
        signal: that ended it, 0 for none.
        fault: of the machine, that ended it; empty for none.
    """

    jobs: PopulationJobs
    base: RunSpec
    signal: int
    fault: str = ""


def pbt(composer: Composer, overrides: Sequence[str], folder: str, log: Log) -> Evolved:
    """Begin a population and do it.

    Everything is checked before its folder is made.

    Args:
        composer: of its runs.
        overrides: of the runs, with pbt's own words among them.
        folder: wanted for it.
        log: whom to tell.

    Raises:
        UserError: bad input.
    """
    refuse_ranks("pbt")
    choice, rest = without_executor(composer, overrides)
    wanted, rest = asked(composer, rest)
    if wanted.metric is not None:
        rest.append(f"checkpoint.best={wanted.metric}")
    base = _base(composer, rest)
    plan = _planned(composer, rest, wanted, base, choice)
    make_executor(choice, log).close()
    wanted_at_once = base.config.sweep.population
    if isinstance(wanted_at_once, int):
        check_population([base] * min(wanted_at_once, plan.members), choice.name != SERIAL)
    made = reserved(folder, lambda path: write_plan(path, plan), log)
    return _evolve(composer, made, plan, choice, base, log)


def _base(composer: Composer, overrides: Sequence[str]) -> RunSpec:
    every = [*overrides, *OF_EVERY_RUN]
    return composer.spec(composer.compose(every), every)


def _planned(
    composer: Composer, rest: Sequence[str], wanted: Asked, base: RunSpec, choice: ExecutorChoice
) -> PopulationPlan:
    """Return the plan of what was asked for, once it is known to be possible."""
    check_space(wanted.space, base)
    patience = base.config.early_stopping.patience
    if patience:
        raise UserError(
            f"early_stopping.patience={patience}: not with pbt, whose members have one length; "
            "bad ones are replaced"
        )
    found = measured(base, "pbt", wanted.space)
    if found.steps < wanted.rounds:
        raise UserError(
            f"rounds={wanted.rounds}: more than the {counted(found.steps, 'step')} of a run"
        )
    check_ends(composer, [*rest, *OF_EVERY_RUN], [], wanted.space, base)
    return PopulationPlan(
        overrides=rest,
        space=wanted.space.as_plain(),
        named=wanted.named,
        members=wanted.members,
        rounds=wanted.rounds,
        quantile=wanted.quantile,
        resample=wanted.resample,
        steps=found.steps,
        metric=found.metric,
        mode=found.mode,
        seed=base.config.seed,
        executor=choice.lines,
        config_dir=composer.config_dir,
        base=comparable(base),
    )


def go_on(composer: Composer, folder: Path, overrides: Sequence[str], log: Log) -> Evolved:
    """Go on with a population: its runs that were cut short first.

    Args:
        composer: of its runs.
        folder: the population's.
        overrides: who does the runs.
        log: whom to tell.

    Raises:
        UserError: another change, no population, or another process is at it.
    """
    refuse_ranks("pbt")
    plan = read_plan(folder)
    choice, rest = without_executor(composer, gone_on_with(plan.executor, overrides))
    if rest:
        raise UserError(f"{rest[0]}: a population goes on as planned, but for the executor")
    base = _base(composer, plan.overrides)
    refuse_changed(plan.base, base)
    refuse_elsewhere(base, choice.name != SERIAL)
    return _evolve(composer, RunDir(folder), plan, choice, base, log)


def _evolve(
    composer: Composer,
    folder: RunDir,
    plan: PopulationPlan,
    choice: ExecutorChoice,
    base: RunSpec,
    log: Log,
) -> Evolved:
    space = read_space(plan.space, plan.named)

    def lines(values: Mapping[str, object]) -> list[str]:
        return lines_of(space, values, base.plain)

    with alone(folder, Log(draws=False, tells=False)):
        every = [*plan.overrides, *OF_EVERY_RUN]
        spec = partial(_spec, composer, every)
        jobs = PopulationJobs(folder, plan, space, spec, lines)
        executor = make_executor(choice, log)
        if isinstance(base.config.sweep.population, int):
            executor = gathering(executor, log)
        ended = do_all(jobs, executor, log)
        if jobs.ended_by:
            log.tell(f"the population stops here: {jobs.ended_by}")
    return Evolved(jobs, base, ended, jobs.ended_by)


def _spec(composer: Composer, overrides: Sequence[str], own: Sequence[str]) -> RunSpec:
    return composer.variant([*overrides, *own])
