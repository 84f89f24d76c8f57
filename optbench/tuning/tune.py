"""A study from its beginning to its end, or from where it was left."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from optbench.compose.composer import Composer
from optbench.compose.executors import ExecutorChoice, gone_on_with, without_executor
from optbench.compose.workloads import differences
from optbench.config.flow import flow
from optbench.config.run_spec import RunSpec
from optbench.errors import UserError
from optbench.executors.make import make_executor
from optbench.executors.many import do_all
from optbench.launched import launched_ranks
from optbench.rundir import RunDir
from optbench.runs.execute import check_surroundings
from optbench.runs.log import Log, say_taken
from optbench.runs.restart import remember
from optbench.search.space import overrides as lines_of
from optbench.search.space import read_space, refuse_strangers
from optbench.tuning.asked import MOST, Asked, asked
from optbench.tuning.plan import StudyPlan, read_plan, write_plan
from optbench.tuning.recipe import recipe_of
from optbench.tuning.samplers import size_of
from optbench.tuning.study import Study, Trial
from optbench.tuning.trials import TrialJobs

NO_TEST = "eval.test=false"
"""The test set is not looked at: it chooses nothing."""


@dataclass(frozen=True)
class Searched:
    """A study that was at work.

    Attributes:
        study: with what was tried.
        base: a run without a trial's values.
        signal: that ended it, 0 for none.
        fault: of the machine, that ended it; empty for none.
        recipe: what a recipe says of the best trial, None if there is no best.
    """

    study: Study
    base: RunSpec
    signal: int
    fault: str = ""
    recipe: Mapping[str, Any] | None = None


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
    _refuse_ranks()
    choice, rest = without_executor(composer, overrides)
    wanted, rest = asked(composer, rest)
    if wanted.metric is not None:
        rest.append(f"checkpoint.best={wanted.metric}")
    base = composer.spec(composer.compose([*rest, NO_TEST]), [*rest, NO_TEST])
    refuse_strangers(wanted.space, base.plain, base.choices["optimizer"])
    make_executor(choice, log).close()
    if wanted.folds and base.config.dataset.get("fold") is not None:
        said = f"dataset.fold={base.config.dataset['fold']}"
        raise UserError(f"{said}: with folds={wanted.folds}, of which each is done; leave it out")
    metric, mode = _metric(base, wanted)
    seed = base.config.seed
    seeds = [[f"seed={seed + n}"] for n in range(wanted.seeds)] if wanted.seeds > 1 else [[]]
    folds = [[f"dataset.fold={n}/{wanted.folds}"] for n in range(1, wanted.folds + 1)] or [[]]
    if wanted.folds:  # the same parts, whatever the seed
        rest.append(f"dataset.split_seed={base.config.dataset['split_seed']}")
    runs = [[*one, *other] for one in seeds for other in folds]
    plan = StudyPlan(
        overrides=rest,
        space=wanted.space.as_plain(),
        named=wanted.named,
        trials=wanted.trials,
        sampler=wanted.sampler,
        pruner=wanted.pruner,
        runs=runs,
        metric=metric,
        mode=mode,
        seed=seed,
        executor=choice.lines,
        config_dir=composer.config_dir,
        base=_comparable(base),
    )
    _check_ends(composer, plan, wanted, base)
    made = remember(RunDir.reserve(folder, "hydra.sweep.dir"))
    say_taken(folder, made.path, log)
    try:
        write_plan(made.path, plan)
    except OSError:
        shutil.rmtree(made.path, ignore_errors=True)
        raise
    return _search(composer, made, plan, choice, base, log)


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
    _refuse_ranks()
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
    changed = differences(dict(plan.base), _comparable(base))
    for key, (then, now) in changed.items():
        raise UserError(
            f"{key}={flow(now)}: a config file says so today; the study was begun with {flow(then)}"
        )
    made = RunDir(folder)
    with _alone(made, Log(draws=False, tells=False)):
        write_plan(folder, plan)
    return _search(composer, made, plan, choice, base, log)


def _search(
    composer: Composer,
    folder: RunDir,
    plan: StudyPlan,
    choice: ExecutorChoice,
    base: RunSpec,
    log: Log,
) -> Searched:
    space = read_space(plan.space, plan.named)
    own = Log(draws=False, tells=False)
    with _alone(folder, own):
        study = Study(folder.path, plan, space)
        jobs = TrialJobs(
            study,
            partial(_spec, composer, plan.overrides),
            lambda trial: _lines(study, trial, base),
        )
        ended = do_all(jobs, make_executor(choice, log), log)
        if jobs.ended_by:
            log.tell(f"the study stops here: {jobs.ended_by}")
        best = study.best()
        recipe = None
        if best is not None:
            lines = lines_of(space, best.values, base.plain)
            recipe = recipe_of(composer, _spec(composer, plan.overrides, lines))
    return Searched(study, base, ended, jobs.ended_by, recipe)


@contextmanager
def _alone(folder: RunDir, log: Log) -> Iterator[None]:
    """Keep other processes from a study; raise UserError if one is at it."""
    log.open(folder.log)
    try:
        yield
    finally:
        log.close()


def _spec(composer: Composer, overrides: Sequence[str], own: Sequence[str]) -> RunSpec:
    return composer.variant([*overrides, *own, NO_TEST])


def _lines(study: Study, trial: Trial, base: RunSpec) -> list[str]:
    return lines_of(study.space, trial.values, base.plain)


def _refuse_ranks() -> None:
    if launched_ranks() > 1:
        raise UserError("tune: not under torchrun; executor=local does runs side by side")


def _comparable(base: RunSpec) -> dict[str, Any]:
    """Return the config of a run, but for where the data lies."""
    return {key: value for key, value in base.plain.items() if key != "data_root"}


def _metric(base: RunSpec, wanted: Asked) -> tuple[str, str]:
    """Return by which metric of the validation set runs are compared, and its mode.

    Raises:
        UserError: there is none: no validation set, or nothing is said to be the best; a pruner
            that would never be asked, more folds than examples.
    """
    data = check_surroundings(base)
    if wanted.folds > data.train_size or (wanted.folds and getattr(data, "val_size", None)):
        why = f"there are {data.train_size} examples"
        own = "the data set has a validation set of its own"
        why = own if getattr(data, "val_size", None) else why
        raise UserError(f"folds={wanted.folds}: {why}")
    from optbench.assemble.experiment import build_experiment
    from optbench.runs.process import left_as_found
    from optbench.training.distributed import join

    with left_as_found():
        world = join(base.config.device)
        experiment = build_experiment(base.config, data, world, None, base.names)
    best, settings = experiment.state.best, experiment.settings
    every = settings.cadence.evaluate
    if wanted.pruner in ("median", "hyperband") and not 0 < every < settings.total_steps:
        raise UserError(f"pruner={wanted.pruner}: a run is scored once, at its end; set eval.every")
    if experiment.validation is None:
        raise UserError("tune: there is no validation set to compare by; dataset.val_fraction=0.1")
    if best.metric is None or not best.metric.startswith("val/"):
        raise UserError(f"checkpoint.best={best.metric}: tune compares by it; metric=val/loss")
    return best.metric, best.mode


def _check_ends(composer: Composer, plan: StudyPlan, wanted: Asked, base: RunSpec) -> None:
    """Compose a run at either end of the space, so that what can't be is said at once."""
    for end in (0.0, 1.0):
        values = {key: each.value(end) for key, each in wanted.space.keys.items()}
        own = [*lines_of(wanted.space, values, base.plain), *plan.runs[-1]]
        _spec(composer, plan.overrides, own)
