"""Diagnosis from Python: `optbench.check` and `find_lr` before a training, `probe` and `doctor`."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from optbench.compose.quoting import value_text
from optbench.compose.texts import check_flag, check_texts
from optbench.library import Path, check_folders, composer_of, of_a_library

if TYPE_CHECKING:
    from optbench.check.result import Checked
    from optbench.doctor.diagnosis import Diagnosis
    from optbench.probe.result import Probed
    from optbench.search.result import RangeTest
    from optbench.symptoms.base import Rule


def check(
    *overrides: str,
    out: Path | None = None,
    quiet: bool = True,
    config_dir: str | None = None,
) -> Checked:
    """Look at a training before it begins, as `optbench check` does; no run folder is made.

    Args:
        overrides: of the training, and the words of the verb: `checks=[data,lr]`, `skip=[lr]`,
            `seconds=60`, `ranks=2`.
        out: a folder for pictures; default: none are made.
        quiet: say nothing; else what `optbench check` says.
        config_dir: a folder of your own config files.

    Returns:
        What was found: `passed`, `failures`, `warnings`, `skipped`, and `plain`, which is the
        verb's JSON.

    Raises:
        UserError: bad input.

    Example:
        >>> found = optbench.check("optimizer.lr=1e-3", "checks=[data,wiring]")
        >>> found.passed, [line.status for line in found.lines]
        (True, ['pass', 'pass'])
    """
    from optbench.check.checks import asked, run_checks
    from optbench.check.told import line_told
    from optbench.plots import png
    from optbench.rundir import path_of

    check_texts("check", overrides)
    check_folders(out, config_dir, "out")
    if out is not None:
        png.require()
    with composer_of(config_dir) as composer:
        wanted = asked(composer, overrides)
    folder = None if out is None else path_of(out)
    with of_a_library(quiet) as (log, _):
        return run_checks(wanted, log, None if quiet else line_told, folder, config_dir)


def find_lr(
    *overrides: str,
    low: float = 1e-7,
    high: float = 10.0,
    ramp_steps: int = 100,
    seeds: int = 3,
    folder: Path | None = None,
    quiet: bool = True,
    config_dir: str | None = None,
) -> RangeTest:
    """Test a range of learning rates in one short training a seed, as `optbench find-lr` does.

    Args:
        overrides: of the training.
        low, high: ends of the ramp, which is exponential.
        ramp_steps: of each test, at least 10.
        seeds: how many tests, the config's seed first.
        folder: made for `find-lr.json`. Default: in `runs/`.
        quiet: say nothing; else notes and warnings on what is tested.
        config_dir: a folder of your own config files.

    Returns:
        What was found: the recommended `lr`, that of each seed (`by_seed`), `caveats`, `folder`,
        and `plain`, which is the verb's JSON.

    Raises:
        UserError: bad input.

    Example:
        >>> found = optbench.find_lr("optimizer=sgd", ramp_steps=40, seeds=1)
        >>> found.lr == found.by_seed[0]
        True
    """
    from optbench.compose.range_test import range_test_config, resolve_player
    from optbench.search.lr_range import Ramp, check_test
    from optbench.search.range_runs import range_tests
    from optbench.search.report import recorded
    from optbench.search.result import RangeTest

    check_texts("find_lr", overrides)
    check_folders(folder, config_dir)
    check_test(low, high, ramp_steps, seeds)
    ramp = Ramp(low, high, ramp_steps, False)
    own = [] if folder is None else [f"hydra.run.dir={value_text(os.fspath(folder))}"]
    words = [*overrides, *own]
    with composer_of(config_dir) as composer:
        spec = composer.spec(composer.compose(words), words)
        player = resolve_player(spec.config, "")
        config = range_test_config(spec, composer, ramp_steps, player)
    with of_a_library(quiet) as (log, _):
        tested = range_tests(spec, config, player, ramp, seeds, log)
    if tested.signal:
        signal.raise_signal(tested.signal)
    return RangeTest(tested.folder.path, recorded(spec, ramp, tested, player, config_dir))


def probe(
    run: Path,
    *words: str,
    at: str | int | None = None,
    out: Path | None = None,
    trust: bool = False,
    quiet: bool = True,
    config_dir: str | None = None,
) -> Probed:
    """Measure a run at its checkpoints, as `optbench probe` does; the run is only read.

    Args:
        run: its folder.
        words: `instruments=[hessian,trace]`, `examples=500`, `hessian.top=10`.
        at: `best`, `last`, `all`, a step, or several with commas; default: best, else last.
        out: a folder for pictures, JSON and TensorBoard's events; default: none is made.
        trust: build what the run's config names, though somebody else began it.
        quiet: show nothing; else a progress bar in a terminal.
        config_dir: a folder of your own config files.

    Returns:
        What was found: `values` by name and step, `notes`, `lacking`, `folder`, and `plain`, which
        is the verb's JSON.

    Raises:
        UserError: bad input.

    Example:
        >>> found = optbench.probe("runs/first", "instruments=[hessian]", at="last")
        >>> sorted(found.values["hessian/largest"])
        [5]
    """
    from optbench.probe.asked import asked
    from optbench.probe.probe import probe as probed
    from optbench.rundir import path_of

    check_texts("probe", words)
    check_folders(out, config_dir, "out")
    with of_a_library(quiet) as (log, _):
        found = probed(
            str(path_of(run)),
            asked(words),
            log,
            at=at,
            out=None if out is None else os.fspath(out),
            trust=trust,
            config_dir=config_dir,
            writes=out is not None,
        )
    if found.measured.signal:
        signal.raise_signal(found.measured.signal)
    return found


def doctor(
    *folders: Path, every: bool = False, rules: tuple[type[Rule], ...] = ()
) -> list[Diagnosis]:
    """Examine runs by their folders, as `optbench doctor` does.

    Args:
        folders: of runs, sweeps, or folders of these.
        every: by all rules, those too that are off by default.
        rules: further ones, of your own.

    Returns:
        One of each run: `run`, `state`, `symptoms` (each with `name`, `step`, `what`, `evidence`,
        `cause`, `remedies`), `severe`, and `damaged` where a file of it can't be read.

    Raises:
        UserError: a folder that is not there, or without any run.

    Example:
        >>> found = optbench.doctor("runs/first")
        >>> [symptom.name for symptom in found[0].symptoms]
        []
    """
    from optbench.doctor.diagnosis import diagnosed, own_rules

    check_flag("every", every)
    return diagnosed(*folders, every=every, own=own_rules(rules))
