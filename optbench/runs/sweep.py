"""The runs of a sweep, in turn in this warm process."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from optbench.compose.composer import Composer
from optbench.compose.sweeps import Grid, varied_keys
from optbench.config.identity import digest
from optbench.config.run_spec import RunSpec
from optbench.config.schema import from_plain
from optbench.errors import OwnCodeError, UserError, is_machines
from optbench.launched import launched_ranks
from optbench.rundir import PLAN, RunDir
from optbench.runs.built import check_one_fits
from optbench.runs.columns import columns_of
from optbench.runs.execute import execute
from optbench.runs.lock import Busy
from optbench.runs.log import Log, say_taken
from optbench.runs.plan import Plan, read_plan, write_plan
from optbench.runs.populations import Population, check_population
from optbench.runs.restart import remember
from optbench.runs.result import EXIT_FAILED, RunResult, load_result, machines_mark
from optbench.runs.saved import Saved, read_saved, refuse_foreign
from optbench.runs.sinks import row_of
from optbench.runs.surroundings import check_surroundings
from optbench.runs.trust import Seal

if TYPE_CHECKING:
    from optbench.training.callback import Callback

T = TypeVar("T")
ELSEWHERE = "running elsewhere"
"""The state in the table of a run that another process is at."""


@dataclass(frozen=True)
class Sweep:
    """A grid of runs and the folder they go to.

    Attributes:
        folder: one run folder a run lies in it, by number.
        grid: the overrides of each run.
        specs: the same, composed and checked.
        seals: of each run's config, if it has begun.
        populations: of runs that are trained at once, where it has been found out already.
    """

    folder: RunDir
    grid: list[list[str]]
    specs: list[RunSpec]
    seals: list[list[Seal]] = field(default_factory=list)
    populations: Sequence[Population] | None = None


def specs_of(composer: Composer, grid: Sequence[list[str]]) -> list[RunSpec]:
    """Return a checked specification for each run."""
    varied = varied_keys(grid)
    specs = [composer.variant(overrides) for overrides in grid]
    columns = columns_of([row_of(spec) for spec in specs], varied)
    return [replace(spec, varied=varied, columns=columns) for spec in specs]


def of_its_sweep(spec: RunSpec, folder: RunDir) -> RunSpec:
    """Return a run that knows its sweep's table, where a plan stands beside its folder."""
    try:
        plan = read_plan(folder.path.parent)
    except UserError:
        return spec
    return replace(spec, varied=varied_keys(plan.grid), columns=plan.columns)


def begin(
    composer: Composer,
    overrides: Sequence[str],
    grid: Grid,
    log: Log,
    executor: Sequence[str] = (),
) -> Sweep:
    """Make a new sweep in a new folder, with its plan.

    Every run's config is checked before the first starts, and before a folder is made.

    Args:
        composer: of the runs.
        overrides: as the command line had them.
        grid: what they come to.
        log: is told; a quiet one, as of every rank but 0, writes nothing.
        executor: the overrides that say who does the runs, for those who go on with it.
    """
    specs = specs_of(composer, grid.runs)
    for spec in specs:
        check_surroundings(spec)
    check_one_fits(specs)
    other = any(line.startswith("executor=") and line != "executor=serial" for line in executor)
    found = check_population(specs, other or not grid.basic or launched_ranks() > 1)
    folder = _on_main(
        specs[0].config.device, lambda: remember(RunDir.reserve(grid.folder, "hydra.sweep.dir"))
    )
    say_taken(grid.folder, folder.path, log)
    if repeated := _repeated(specs):
        log.warn(repeated)
    if not log.quiet:
        plan = Plan(grid.runs, composer.config_dir, columns=specs[0].columns, executor=executor)
        write_plan(folder.path, overrides, plan)
    return Sweep(folder, grid.runs, specs, populations=found)


def _repeated(specs: Sequence[RunSpec]) -> str:
    """Return what is to be said of runs that are another one again, `seed=0,0`; else nothing."""
    first: dict[str, int] = {}
    same = []
    for number, spec in enumerate(specs):
        before = first.setdefault(digest(spec.plain), number)
        if before != number:
            same.append((number, before))
    if not same:
        return ""
    number, before = same[0]
    more = f", and {len(same) - 1} more repeat one" if same[1:] else ""
    return f"run {number} has the very settings of run {before}{more}; each is trained"


def _on_main(device: str, make: Callable[[], T]) -> T:
    """Return what rank 0 finds, for it alone may look at folders that it changes."""
    if launched_ranks() == 1:
        return make()
    from optbench.training.distributed import join

    return join(device).on_main(make)


def claim(folder: RunDir, log: Log) -> str:
    """Return how far a run is: `done`, or else, once it is locked, `begun` or `new`.

    Raises:
        Busy: another process is.
    """
    if folder.done:
        return "done"
    folder.path.mkdir(exist_ok=True)
    log.open(folder.log)
    if folder.done:  # by whoever was at it a moment ago
        log.close()
        return "done"
    return "begun" if folder.config.is_file() else "new"


def run_one(
    spec: RunSpec,
    folder: RunDir,
    log: Log,
    seals: Sequence[Seal] = (),
    callbacks: Sequence[Callback] = (),
) -> RunResult:
    """Do a run in its own folder: done already, to be resumed, new, or another process's."""
    try:
        begun = _on_main(spec.config.device, lambda: claim(folder, log))
    except Busy as busy:
        return RunResult(folder, ELSEWHERE, 0, str(busy), exit_code=EXIT_FAILED)
    if begun == "done":
        return load_result(folder)
    try:
        resume = begun == "begun"
        how = {"resume": resume, "one_of_many": True}
        return execute(spec, log, folder, seals=seals, callbacks=callbacks, **how)
    except Exception as error:  # whatever it is, the other runs of the sweep go on
        if launched_ranks() > 1 and not isinstance(error, UserError):
            raise  # unless another rank waits for this one, in the middle of a run
        return failed_early(folder, log, error, new=begun == "new")


def failed_early(folder: RunDir, log: Log, error: Exception, new: bool) -> RunResult:
    """Write down in a run's own folder what kept it from being done; return its result."""
    from optbench.training.notes import said

    status, user = folder.read_status(), isinstance(error, UserError)
    step = status.get("step", 0)
    told = user and status.get("message") == said(error)  # by the run, as it ended
    if not log.quiet and not told and (new or not user):
        with suppress(OSError, UserError):  # the table tells it, wherever else it can't be
            log.open(folder.log)
            if user and not isinstance(error, OwnCodeError):
                log.note(said(error))
            else:
                log.note_lines("".join(traceback.format_exception(error)))
            folder.write_status("failed", step, said(error), **machines_mark(error))
    with suppress(OSError):
        log.close()
    return RunResult(
        folder,
        "failed",
        step,
        said(error),
        exit_code=EXIT_FAILED,
        machines=is_machines(error),
    )


def reopen(
    composer: Composer,
    folder: RunDir,
    plan: Plan,
    overrides: Sequence[str],
    trust: bool = False,
) -> Sweep:
    """Reopen a sweep, to go on: runs that are done are skipped, the others resumed or started.

    Raises:
        UserError: there are overrides, which a sweep's own runs would contradict; a run's folder
            or config that is not to be trusted.
    """
    if overrides:
        raise UserError(
            f"resume={folder.path} {' '.join(overrides)}: a sweep is resumed as it was planned; "
            "resume one of its runs to change it"
        )
    own = plan.own or trust
    saved = {n: _saved(composer, folder, n, trust, own) for n in range(len(plan.grid))}
    planned = specs_of(composer, plan.grid)
    for number, spec in enumerate(planned):
        if saved[number] is None and not (plan.own or trust):
            refuse_foreign(folder.path / PLAN, spec.plain)
    specs = [_saved_spec(saved[n], spec) for n, spec in enumerate(planned)]
    seals = [[] if own is None else own.seals for own in saved.values()]
    return Sweep(folder, plan.grid, specs, seals)


def _saved(
    composer: Composer, folder: RunDir, number: int, trust: bool, links: bool
) -> Saved | None:
    """Return what a run that has begun was begun with; `links`: see `RunDir.inspect`."""
    own = RunDir(folder.path / str(number))
    if own.path.is_symlink():
        raise UserError(f"{own.path}: a link, where a folder is meant")
    if not os.path.lexists(own.config):
        own.inspect(links)
        return None
    saved = read_saved(own, trust)
    saved.check(own, composer.files)
    return saved


def _saved_spec(saved: Saved | None, spec: RunSpec) -> RunSpec:
    """Return what to run: where a run has begun, with its own config, not today's files."""
    if saved is None:
        return spec
    return replace(spec, config=from_plain(saved.plain), plain=saved.plain)
