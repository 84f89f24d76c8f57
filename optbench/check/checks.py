"""All checks of what a command line would train. No torch until something is built."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optbench.assemble.data import dataset, notes_on
from optbench.assemble.own import module_of, place_in, targets_in
from optbench.check.base import FAIL, SKIPPED, Check, Finding, Skipped, passed
from optbench.check.result import Checked, Line
from optbench.check.selected import Said, make, names_of, targets_of
from optbench.compose.composer import Composer
from optbench.config.run_spec import RunSpec
from optbench.errors import OwnCodeError, UserError
from optbench.runs.collector import at_work
from optbench.runs.log import Log, heard
from optbench.runs.start import start_weights
from optbench.tuning.words import count, words_of

if TYPE_CHECKING:
    from optbench.check.setup import Setup

WORDS = ("checks", "skip", "seconds", "ranks")
SECONDS = 60.0
"""By default, for all checks together."""

Told = Callable[[Line], None]


@dataclass(frozen=True)
class Asked:
    """What is asked.

    Attributes:
        spec: of the training.
        checks: which ones.
        seconds: for all of them, about.
        ranks: that are to end as one does.
    """

    spec: RunSpec
    checks: Sequence[Said]
    seconds: float
    ranks: int = 1


def asked(composer: Composer, overrides: Sequence[str]) -> Asked:
    """Read the words of `check`, and compose the training.

    Raises:
        UserError: bad input.
    """
    said, rest = words_of(composer, overrides, WORDS)
    checks, left_out = names_of(said.get("checks")), names_of(said.get("skip"), "skip")
    checks = [each for each in checks if each not in left_out]
    if not checks:
        raise UserError(f"{said.line('skip')}: no check is left")
    targets_of(checks)
    seconds = said.get("seconds", SECONDS)
    number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if not number or not 0 < seconds < math.inf:
        raise UserError(f"{said.line('seconds')}: not valid; expected a number above 0")
    spec = composer.spec(composer.compose(rest), rest)
    if spec.config.resume:
        raise UserError(f"resume={spec.config.resume}: not with check, which is of a new run")
    return Asked(spec, checks, float(seconds), count(said, "ranks") or 1)


def run_checks(
    wanted: Asked,
    log: Log,
    told: Told | None = None,
    out: Path | None = None,
    config_dir: str | None = None,
) -> Checked:
    """Do the checks; nothing is left on the disk but pictures in `out`.

    Args:
        told: is given each line as it is found.
        out: a folder for pictures.
        config_dir: the user's own config files.

    Raises:
        UserError: what `train` refuses, too.
    """
    begun = time.perf_counter()
    data = dataset(wanted.spec.config)
    from optbench.runs.surroundings import check_device, check_graph

    check_device(wanted.spec.config.device)
    check_graph(wanted.spec.config)
    import rich.style  # noqa: F401  (draws a random number)

    from optbench.check.setup import Setup
    from optbench.training.distributed import join

    config = dataclasses.replace(wanted.spec.config, compile=False, cuda_graph=False)
    world = join(config.device)
    weights = start_weights(config, world)
    checks = make(wanted.checks)
    setup = Setup(
        spec=wanted.spec,
        config=config,
        dataset=data,
        world=world,
        weights=weights,
        seconds=wanted.seconds,
        out=out,
        ranks=wanted.ranks,
        config_dir=config_dir,
    )
    lines: list[Line] = []
    with at_work(), heard(log):
        for line in _lines(setup, checks, log):
            lines.append(line)
            if told is not None:
                told(line)
    return Checked(config.name, lines, time.perf_counter() - begun)


def _lines(setup: Setup, checks: Sequence[Check], log: Log) -> Iterator[Line]:
    why = _unbuilt(setup)
    if why is not None:
        yield Line("data", why)
        for check in checks:
            if check.name != "data":
                yield Line(check.name, Finding(SKIPPED, "the training can't be built"))
        return
    notes = [*setup.spec.warnings, *setup.experiment.notes, *notes_on(setup.dataset)]
    for note in notes:
        log.warn(note)
    for check in checks:
        yield from _of_one(setup, check)


def _unbuilt(setup: Setup) -> Finding | None:
    """Return why the training can't be built, if a check knows better than the error does."""
    from optbench.check.data_inputs import swapped

    try:
        _ = setup.experiment
    except UserError:
        import torch

        try:
            source = setup.dataset.open("train", setup.device)
            batch: Any = next(iter(source.stream(torch.arange(2), [(0, 2)])))
        except Exception:  # whatever keeps examples from being read was told of above
            batch = None
        found = None if batch is None else swapped(batch)
        if found is None:
            raise
        return found
    return None


def _stopped(setup: Setup, check: Check, error: Exception) -> Finding:
    """Return what is said of an error that stopped a check.

    Raises:
        Exception: the error itself, where it is nothing that a training can be blamed for.
    """
    said = f"{type(error).__name__}: " + " ".join(str(error).split())[:200].rstrip(".")
    if not type(check).__module__.startswith("optbench."):  # what checks nothing is no pass
        return Finding(FAIL, f"your own check fails: {said}{place_in(error, [module_of(check)])}")
    place = place_in(error, targets_in(setup.spec.plain))
    if place:
        return Finding(FAIL, f"code of your own fails: {said}{place}")
    if isinstance(error, RuntimeError | NotImplementedError | ValueError | TypeError | IndexError):
        return Finding(SKIPPED, f"it can't be done here: {said}")
    raise error


def _of_one(setup: Setup, check: Check) -> Iterator[Line]:
    """Yield a check's lines; what stops it is a line, too."""
    name = str(getattr(check, "name", type(check).__name__))
    begun = time.perf_counter()
    found: list[Finding] = []
    try:
        for each in check.run(setup):
            if not isinstance(each, Finding):
                raise UserError(f"checks: {name} yields a {type(each).__name__}, not a Finding")
            found.append(each)
    except Skipped as skipped:
        found.append(Finding(SKIPPED, str(skipped)))
    except OwnCodeError as error:
        found.append(Finding(SKIPPED, f"code of your own fails: {error}"))
    except UserError as error:
        found.append(Finding(SKIPPED, str(error)))
    except Exception as error:
        found.append(_stopped(setup, check, error))
    taken = time.perf_counter() - begun
    for number, each in enumerate(found or [passed("nothing was found")]):
        yield Line(name, each, 0.0 if number else taken)
