"""A sweep's runs by one of Hydra's launchers or sweepers, in processes of theirs."""

from __future__ import annotations

import signal
import traceback
from concurrent.futures import BrokenExecutor
from pathlib import Path
from typing import Any, cast

from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

from optbench.compose import hydra_internals
from optbench.compose.composer import Composer
from optbench.compose.players import as_typed
from optbench.compose.quoting import literal, quoted
from optbench.compose.resolvers import register_resolvers
from optbench.rundir import RunDir
from optbench.runs.left import left
from optbench.runs.log import Log
from optbench.runs.result import EXIT_FAILED, RunResult
from optbench.runs.sweep import Sweep, of_its_sweep, run_one
from optbench.training.signals import Stopped, stoppable


def launched(composer: Composer, cfg: DictConfig, planned: Sweep, log: Log) -> list[RunResult]:
    """Do all runs by a launcher; where it fails, some are killed or not begun."""
    from hydra.core.plugins import Plugins
    from hydra.types import HydraContext
    from omegaconf import open_dict, read_write

    # Said twice, for a launcher composes each run anew from the overrides.
    folder = str(planned.folder.path)
    with open_dict(cfg), read_write(cfg.hydra):
        cfg.hydra.sweep.dir = literal(folder)
        cfg.hydra.overrides.hydra.append(f"hydra.sweep.dir={quoted(folder)}")
    context = HydraContext(config_loader=composer.loader, callbacks=hydra_internals.callbacks(cfg))
    launcher = Plugins.instance().instantiate_launcher(
        hydra_context=context, task_function=task, config=cfg
    )
    lines = [composer.lines(overrides) for overrides in planned.grid]
    messages, code = [""] * len(lines), EXIT_FAILED
    try:
        with stoppable():
            returned = launcher.launch(lines, initial_job_idx=0)
        messages = [_failure(each) for each in returned]
    except (Stopped, KeyboardInterrupt) as stopped:
        code = getattr(stopped, "code", 128 + signal.SIGINT)
        log.tell(f"the sweep was stopped ({signal.Signals(code - 128).name})")
    except BrokenExecutor as error:
        log.tell(f"a process of the sweep was killed: {_in_a_line(error)}")
    except Exception as error:
        log.open(planned.folder.log)
        log.note_lines("".join(traceback.format_exception(error)))
        log.close()
        log.tell(f"the launcher failed: {_in_a_line(error)}")
        log.tell(f"the traceback is in {planned.folder.log}")
    folders = [RunDir(planned.folder.path / str(number)) for number in range(len(lines))]
    results = [left(folder, code, text) for folder, text in zip(folders, messages, strict=True)]
    for number, result in enumerate(results):
        if result.state == "failed":
            log.tell(f"[{number + 1}/{len(results)}] failed: {result.message}")
    return results


def _failure(returned: Any) -> str:
    """Return what went wrong around a run, empty if nothing did."""
    from hydra.core.utils import JobStatus

    failed = getattr(returned, "status", None) == JobStatus.FAILED
    return _in_a_line(hydra_internals.what_a_job_returned(returned)) if failed else ""


def _in_a_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def foreign_sweeper(composer: Composer, cfg: DictConfig) -> int:
    """Let a sweeper plugin of the user's choose the runs; it gets each one's score."""
    from hydra.core.plugins import Plugins
    from hydra.types import HydraContext

    context = HydraContext(config_loader=composer.loader, callbacks=hydra_internals.callbacks(cfg))
    sweeper = Plugins.instance().instantiate_sweeper(
        hydra_context=context, task_function=task, config=cfg
    )
    sweeper.sweep(arguments=list(cfg.hydra.overrides.task))
    return 0


def task(cfg: DictConfig) -> float | None:
    """Do one run in the folder that Hydra made, for a launcher's process; return its best score."""
    from hydra.core.hydra_config import HydraConfig

    hydra = cast(DictConfig, HydraConfig.get())
    overrides = list(map(as_typed, hydra.overrides.task))
    made = cast(dict[str, Any], OmegaConf.to_container(hydra.runtime, resolve=False))
    folder = RunDir(Path(made["output_dir"]).absolute())  # as it is, whatever is in it
    register_resolvers()
    composer = Composer(GlobalHydra.instance().config_loader())
    if composer.task(composer.parse(overrides[1:])) == overrides[:1]:
        del overrides[0]  # nobody has typed it
    spec = of_its_sweep(composer.spec_of(cfg, hydra, overrides), folder)
    result = run_one(spec, folder, Log(draws=False))
    best = result.best.get("value")
    return None if best is None else float(best)
