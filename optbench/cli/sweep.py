"""Multirun: a grid of runs, in turn in this warm process, or by one of Hydra's launchers."""

from __future__ import annotations

import itertools
import os
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar, cast

from hydra.core.override_parser.types import Override
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from optbench.cli.columns import columns_of
from optbench.cli.execute import EXIT_FAILED, Result, check_device, execute
from optbench.cli.lock import Busy
from optbench.cli.log import Log
from optbench.cli.plan import PLAN, Plan, read_plan, write_plan
from optbench.cli.report import print_sweep
from optbench.cli.restart import remember
from optbench.cli.saved import Saved, read_saved, refuse_foreign
from optbench.cli.sinks import row_of
from optbench.cli.trust import Seal
from optbench.compose.composer import Composer, folder_of, keys_of
from optbench.compose.grid import as_lines, combinations, params_of, without_params
from optbench.compose.players import as_typed
from optbench.compose.resolvers import launched_ranks
from optbench.config.run_spec import RunSpec
from optbench.config.schema import from_plain
from optbench.errors import UserError
from optbench.rundir import RunDir

T = TypeVar("T")
ELSEWHERE = "running elsewhere"
"""The state in the table of a run that another process is at."""
BASIC = ("basic", "None")


@dataclass(frozen=True)
class Sweep:
    """A grid of runs and the folder they go to.

    Attributes:
        folder: one run folder a run lies in it, by number.
        grid: the overrides of each run.
        specs: the same, composed and checked.
        seals: of each run's config, if it has begun.
    """

    folder: RunDir
    grid: list[list[str]]
    specs: list[RunSpec]
    seals: list[list[Seal]] = field(default_factory=list)


def sweep(composer: Composer, overrides: Sequence[str]) -> int:
    """Does all runs of the grid; the exit code is 1 if one of them failed.

    Every run's config is checked before the first starts, and before a folder is made.
    """
    log = Log()
    parsed = composer.parse(overrides)
    own = [o for o in parsed if o.key_or_group == "hydra/sweeper" and str(o.value()) not in BASIC]
    cfg = composer.compose(overrides if own else without_params(overrides), RunMode.MULTIRUN)
    if str(cfg.hydra.runtime.choices.get("hydra/sweeper")) not in BASIC:
        from optbench.cli.launchers import foreign_sweeper

        return foreign_sweeper(composer, cfg)
    numbered = cast(dict[str, Any], OmegaConf.to_container(cfg.hydra.sweep, resolve=False))
    if numbered["subdir"] != "${hydra.job.num}":
        raise UserError("hydra.sweep.subdir: a sweep's runs are numbered, so it can't be set")
    grid = expand(composer, cfg, parsed)
    specs = specs_of(composer, grid)
    columns = specs[0].columns
    _check_data(specs)
    wanted = folder_of(cfg.hydra, "sweep")
    folder = _on_main(
        specs[0].config.device, lambda: remember(RunDir.reserve(wanted, "hydra.sweep.dir"))
    )
    if not log.quiet:
        write_plan(folder.path, overrides, Plan(grid, composer.config_dir, columns=columns))
    planned = Sweep(folder, grid, specs)
    results: list[Result | None]
    if str(cfg.hydra.runtime.choices.get("hydra/launcher")) in BASIC:
        results = in_turn(planned, log)
    else:
        from optbench.cli.launchers import launched

        results = list(launched(composer, cfg, planned, log))
    return report(planned, results, log)


def expand(composer: Composer, cfg: DictConfig, parsed: Sequence[Override]) -> list[list[str]]:
    """The overrides of each run: all combinations, the last key changing fastest."""
    params = cast(dict[str, Any], OmegaConf.to_container(cfg.hydra.sweeper)).get("params") or {}
    fixed = composer.parse(as_lines({**params, **params_of(parsed)}))
    task = [o for o in [*fixed, *parsed] if not o.key_or_group.startswith("hydra")]
    return [list(map(as_typed, run)) for run in combinations(task)]


def specs_of(composer: Composer, grid: Sequence[list[str]]) -> list[RunSpec]:
    """A checked specification a run."""
    varied = varied_keys(grid)
    specs = [composer.variant(overrides) for overrides in grid]
    columns = columns_of([row_of(spec) for spec in specs], varied)
    return [replace(spec, varied=varied, columns=columns) for spec in specs]


def of_its_sweep(spec: RunSpec, folder: RunDir) -> RunSpec:
    """A run that knows its sweep's table, where a plan stands beside its folder."""
    try:
        plan = read_plan(folder.path.parent)
    except UserError:
        return spec
    return replace(spec, varied=varied_keys(plan.grid), columns=plan.columns)


def varied_keys(grid: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """The keys that differ among the runs of a grid."""
    values: dict[str, set[str]] = {}
    for line in itertools.chain.from_iterable(grid):
        values.setdefault(keys_of([line])[0], set()).add(line)
    return tuple(key for key, lines in values.items() if len(lines) > 1)


def _check_data(specs: Sequence[RunSpec]) -> None:
    from optbench.assemble.data import dataset

    for spec in specs:
        dataset(spec.config)
        check_device(spec.config.device)


def _on_main(device: str, make: Callable[[], T]) -> T:
    """What rank 0 finds, for it alone may look at folders that it changes."""
    if launched_ranks() == 1:
        return make()
    from optbench.training.distributed import join

    return join(device).on_main(make)


def _claim(folder: RunDir, log: Log) -> str:
    """How far a run is: `done`, or else `begun` or `new`, and nobody but this process is at it.

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


def in_turn(planned: Sweep, log: Log) -> list[Result | None]:
    """One run after the other; what an earlier part of the sweep has done is not done again.

    Runs that another process is at are looked at once more at the end.
    """
    numbers = range(len(planned.specs))
    results: list[Result | None] = [None for _ in numbers]
    elsewhere = (n for n in numbers if (r := results[n]) and r.state == ELSEWHERE)
    for number in itertools.chain(numbers, elsewhere):
        folder, spec = RunDir(planned.folder.path / str(number)), planned.specs[number]
        log.tell(f"[{number + 1}/{len(numbers)}] {' '.join(planned.grid[number])}")
        result = results[number] = one(
            spec, folder, log, planned.seals[number] if planned.seals else ()
        )
        if result.state == ELSEWHERE:
            log.tell(result.message)
        if result.state == "failed":
            log.tell(f"failed: {result.message}")
            if spec.config.sweep.fail_fast:
                log.tell("sweep.fail_fast=true: the sweep stops here")
                break
        if result.exit_code > 128:
            break
        if result.state == "failed" and launched_ranks() > 1:
            log.tell("the ranks may be out of step: resume the sweep to go on")
            break
    return results


def one(spec: RunSpec, folder: RunDir, log: Log, seals: Sequence[Seal] = ()) -> Result:
    """A run in its own folder: done already, to be resumed, new, or another process's."""
    try:
        begun = _on_main(spec.config.device, lambda: _claim(folder, log))
    except Busy as busy:
        return Result(folder, ELSEWHERE, 0, str(busy), exit_code=EXIT_FAILED)
    if begun == "done":
        return recorded(folder)
    try:
        return execute(spec, log, folder, resume=begun == "begun", seals=seals)
    except Exception as error:  # whatever it is, the other runs of the sweep go on
        if launched_ranks() > 1 and not isinstance(error, UserError):
            raise  # unless another rank waits for this one, in the middle of a run
        from optbench.training.notes import said

        step = folder.read_status().get("step", 0)
        if not log.quiet and (begun == "new" or not isinstance(error, UserError)):
            with suppress(OSError, UserError):  # the table tells it, wherever else it can't be
                log.open(folder.log)
                log.note_lines("".join(traceback.format_exception(error)))
                folder.write_status("failed", step, said(error))
        with suppress(OSError):
            log.close()
        return Result(folder, "failed", step, said(error), exit_code=EXIT_FAILED)


def recorded(folder: RunDir) -> Result:
    """A run's result as its folder tells it."""
    status, summary = folder.read_status(), folder.read_summary()
    state = status.get("state", "failed")
    return Result(
        folder,
        state,
        status.get("step", 0),
        status.get("message", ""),
        summary.get("final", {}),
        summary.get("best", {}),
        0 if state in ("finished", "stopped_early") else EXIT_FAILED,
        summary.get("target", {}),
        summary.get("samples", {}),
        summary.get("scored_weights"),
    )


def report(planned: Sweep, results: Sequence[Result | None], log: Log) -> int:
    """The table of the runs that were done, best first."""
    done = [
        (overrides, result)
        for overrides, result in zip(planned.grid, results, strict=False)
        if result is not None
    ]
    if not log.quiet:
        metric = next((str(r.best["metric"]) for _, r in done if r.best), "test/accuracy")
        print_sweep(planned.folder.path, done, metric)
    signals = [result.exit_code for _, result in done if result.exit_code > 128]
    return signals[0] if signals else max([result.exit_code for _, result in done], default=0)


def resume_sweep(
    composer: Composer,
    folder: RunDir,
    plan: Plan,
    overrides: Sequence[str],
    log: Log,
    trust: bool = False,
) -> int:
    """Goes on with a sweep: runs that are done are skipped, the others resumed or started.

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
    rest = Sweep(folder, plan.grid, specs, seals)
    return report(rest, in_turn(rest, log), log)


def _saved(
    composer: Composer, folder: RunDir, number: int, trust: bool, links: bool
) -> Saved | None:
    """What a run that has begun was begun with; `links`: see `RunDir.inspect`."""
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
    """A run that has begun goes on with its own config, not with today's files."""
    if saved is None:
        return spec
    return replace(spec, config=from_plain(saved.plain), plain=saved.plain)
