"""A study from its beginning to its end, or from where it was left."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optbench.compose.composer import Composer
from optbench.compose.executors import (
    SERIAL,
    ExecutorChoice,
    gone_on_with,
    without_executor,
)
from optbench.compose.workloads import differences
from optbench.config.flow import flow
from optbench.config.run_spec import RunSpec
from optbench.errors import UserError
from optbench.executors.gathered import gathering
from optbench.executors.make import make_executor
from optbench.executors.many import do_all
from optbench.launched import launched_ranks
from optbench.rundir import RunDir
from optbench.runs.built import built
from optbench.runs.lock import Busy
from optbench.runs.log import Log, say_taken
from optbench.runs.populations import refuse_elsewhere
from optbench.runs.restart import remember
from optbench.search.space import Space, read_space
from optbench.tuning.asked import Asked, asked
from optbench.tuning.at_once import asking, check_number
from optbench.tuning.choices import NO_TEST, check_ends, fitting, lines_for, refuse_without_lr
from optbench.tuning.plan import StudyPlan, read_plan, write_plan
from optbench.tuning.recipe import recipe_of
from optbench.tuning.samplers import size_of
from optbench.tuning.study import Study
from optbench.tuning.trials import TrialJobs
from optbench.tuning.words import MOST

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Searched:
    """A study that was at work.

    Attributes:
        study: with what was tried.
        base: a run without a trial's values.
        signal: that ended it, 0 for none.
        fault: of the machine, that ended it; empty for none.
        recipe: what a recipe says of the best trial, None if there is no best.
        lines: the overrides that give a run the best trial's values.
    """

    study: Study
    base: RunSpec
    signal: int
    fault: str = ""
    recipe: Mapping[str, Any] | None = None
    lines: Sequence[str] = ()


def tune(composer: Composer, overrides: Sequence[str], folder: str, log: Log) -> Searched:
    """Begin a study and do it.

    Everything is checked before its folder is made.

    Args:
        composer: of its runs.
        overrides: of the runs, with the study's own words among them.
        folder: wanted for it.
        log: whom to tell.

    Raises:
        UserError: bad input.
    """
    refuse_ranks("tune")
    choice, rest = without_executor(composer, overrides)
    wanted, rest = asked(composer, rest)
    if wanted.metric is not None:
        rest.append(f"checkpoint.best={wanted.metric}")
    base = composer.spec(composer.compose([*rest, NO_TEST]), [*rest, NO_TEST])
    space = fitting(composer, rest, wanted.space, base, log)
    if wanted.against and wanted.against not in space.chosen["optimizer"]:
        raise UserError(f"against={wanted.against}: does not fit this run, see above")
    make_executor(choice, log).close()
    if wanted.folds and base.config.dataset.get("fold") is not None:
        said = f"dataset.fold={base.config.dataset['fold']}"
        raise UserError(f"{said}: with folds={wanted.folds}, of which each is done; leave it out")
    found = measured(base, "tune", space)
    _check_runs(wanted, found)
    seed = base.config.seed
    seeds = [[f"seed={seed + n}"] for n in range(wanted.seeds)] if wanted.seeds > 1 else [[]]
    folds = [[f"dataset.fold={n}/{wanted.folds}"] for n in range(1, wanted.folds + 1)] or [[]]
    if wanted.folds:  # the same parts, whatever the seed
        rest.append(f"dataset.split_seed={base.config.dataset['split_seed']}")
    runs = [[*one, *other] for one in seeds for other in folds]
    plan = StudyPlan(
        overrides=rest,
        space=space.as_plain(),
        named=wanted.named,
        trials=wanted.trials,
        sampler=wanted.sampler,
        pruner=wanted.pruner,
        runs=runs,
        metric=found.metric,
        mode=found.mode,
        seed=seed,
        executor=choice.lines,
        config_dir=composer.config_dir,
        base=comparable(base),
        against=wanted.against,
        confirm=wanted.confirm,
    )
    check_ends(composer, [*plan.overrides, NO_TEST], runs[-1], space, base)
    check_number(plan, base, choice)
    made = reserved(folder, lambda path: write_plan(path, plan), log)
    return search(composer, made, plan, choice, base, log)


def folder_wanted(composer: Composer, own: Sequence[str] = ()) -> str:
    """Return where a study goes: where a sweep would, unless `own`, an override, says it."""
    wanted = composer.folder_of_sweep(own)
    return wanted if own else wanted.replace("/sweeps/", "/studies/")


def go_on(composer: Composer, folder: Path, overrides: Sequence[str], log: Log) -> Searched:
    """Go on with a study: its trials that were cut short first.

    Args:
        composer: of its runs.
        folder: the study's.
        overrides: who does the runs, and `trials=N` for more of them.
        log: whom to tell.

    Raises:
        UserError: another change, no study, or another process is at it.
    """
    refuse_ranks("tune")
    plan = read_plan(folder)
    choice, rest = without_executor(composer, gone_on_with(plan.executor, overrides))
    for line in rest:
        key, _, value = line.partition("=")
        if key != "trials":
            raise UserError(f"{line}: a study goes on as planned, but for trials and executor")
        if not value.isascii() or not value.isdecimal() or int(value) < plan.trials:
            raise UserError(f"{line}: expected a whole number, at least the {plan.trials} planned")
        points = size_of(read_space(plan.space, plan.named)) if plan.sampler == "grid" else None
        if int(value) > (points or MOST["trials"]):
            most = f"the grid has {points} points" if points else f"at most {MOST['trials']:,}"
            raise UserError(f"{line}: {most}")
        plan = replace(plan, trials=int(value))
    base = composer.spec(composer.compose([*plan.overrides, NO_TEST]), [*plan.overrides, NO_TEST])
    refuse_changed(plan.base, base)
    refuse_elsewhere(base, choice.name != SERIAL)
    made = RunDir(folder)
    with alone(made, Log(draws=False, tells=False)):
        write_plan(folder, plan)
    return search(composer, made, plan, choice, base, log)


def search(
    composer: Composer,
    folder: RunDir,
    plan: StudyPlan,
    choice: ExecutorChoice,
    base: RunSpec,
    log: Log,
) -> Searched:
    """Do what is left of a study in its folder.

    Args:
        composer: of its runs.
        folder: the study's.
        plan: of it.
        choice: who does the runs.
        base: a run without a trial's values.
        log: whom to tell.
    """
    space = read_space(plan.space, plan.named)
    own = Log(draws=False, tells=False)
    with alone(folder, own):
        study, wanted = Study(folder.path, plan, space), asking(plan)
        executor = make_executor(choice, log)
        if wanted.runs:
            executor = gathering(executor, log, slots=wanted.runs)
        jobs = TrialJobs(
            study,
            partial(_spec, composer, plan.overrides),
            lambda trial: lines_for(composer, plan.overrides, space, trial.values, base),
            wanted.trials if executor.here else 0,
        )
        ended = do_all(jobs, executor, log)
        if jobs.ended_by:
            log.tell(f"the study stops here: {jobs.ended_by}")
        best = study.best()
        recipe, lines = None, []
        if best is not None:
            lines = lines_for(composer, plan.overrides, space, best.values, base)
            recipe = recipe_of(composer, _spec(composer, plan.overrides, lines))
    return Searched(study, base, ended, jobs.ended_by, recipe, lines)


@contextmanager
def alone(folder: RunDir, log: Log) -> Iterator[None]:
    """Keep other processes from a study; raise UserError if one is at it."""
    try:
        log.open(folder.log)
    except Busy:
        raise UserError(f"{folder.path}: another process is at this study") from None
    try:
        yield
    finally:
        log.close()


def _spec(composer: Composer, overrides: Sequence[str], own: Sequence[str]) -> RunSpec:
    return composer.variant([*overrides, *own, NO_TEST])


def refuse_ranks(verb: str) -> None:
    """Raise UserError under torchrun, whose ranks would each do the whole."""
    if launched_ranks() > 1:
        raise UserError(f"{verb}: not under torchrun; executor=local does runs side by side")


def reserved(folder: str, write: Callable[[Path], None], log: Log) -> RunDir:
    """Make the folder of a study, with its plan in it; leave none where that can't be written."""
    made = remember(RunDir.reserve(folder, "hydra.sweep.dir"))
    say_taken(folder, made.path, log)
    try:
        write(made.path)
    except OSError:
        shutil.rmtree(made.path, ignore_errors=True)
        raise
    return made


def refuse_changed(then: Mapping[str, Any], base: RunSpec) -> None:
    """Raise UserError where a run would be another than when the study was begun.

    Args:
        then: what `comparable` gave.
        base: a run as it is composed today.
    """
    for key, (old, new) in differences(dict(then), comparable(base)).items():
        raise UserError(
            f"{key}={flow(new)}: a config file says so today; the study was begun with {flow(old)}"
        )


def comparable(base: RunSpec) -> dict[str, Any]:
    """Return the config of a run, but for where the data lies."""
    return {key: value for key, value in base.plain.items() if key != "data_root"}


@dataclass(frozen=True)
class Measured:
    """What runs are compared by, and what they are.

    Attributes:
        metric, mode: of the validation set; `min` or `max`.
        steps: of a run.
        every: after how many a run is scored, 0 for at its end only.
        examples: to train on and to validate with, 0 where these are the data set's own.
    """

    metric: str
    mode: str
    steps: int
    every: int
    examples: int


def _check_runs(wanted: Asked, found: Measured) -> None:
    """Raise UserError for a pruner that is never asked, and more folds than examples."""
    if wanted.pruner in ("median", "hyperband") and not 0 < found.every < found.steps:
        raise UserError(f"pruner={wanted.pruner}: a run is scored once, at its end; set eval.every")
    if wanted.folds > found.examples:
        own = "the data set has a validation set of its own"
        why = f"there are {found.examples} examples" if found.examples else own
        raise UserError(f"folds={wanted.folds}: {why}")


def measured(base: RunSpec, verb: str, space: Space) -> Measured:
    """Build a run without training it, and return what runs are compared by.

    Args:
        base: the run.
        verb: whose runs are compared.
        space: what it searches.

    Raises:
        UserError: there is no validation set, nothing is said to be the best, or the space has the
            learning rate of an optimizer that has none.
    """
    experiment, data = built(base)
    refuse_without_lr(space, experiment)
    best, settings = experiment.state.best, experiment.settings
    if experiment.validation is None:
        raise UserError(
            f"{verb}: there is no validation set to compare by; dataset.val_fraction=0.1"
        )
    if best.metric is None or not best.metric.startswith("val/"):
        raise UserError(f"checkpoint.best={best.metric}: {verb} compares by it; metric=val/loss")
    examples = 0 if getattr(data, "val_size", None) is not None else data.train_size
    every = settings.cadence.evaluate
    return Measured(best.metric, best.mode, settings.total_steps, every, examples)


def optimizer_of(base: RunSpec) -> torch.optim.Optimizer:
    """Return the optimizer of a run's first player, built without training it."""
    return built(base)[0].state.players[0].optimizer
