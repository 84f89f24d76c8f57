"""Which runs of a sweep are trained at once: those of one shape, as far as they fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from optbench.config.alike import differing, shape_of, why_alone
from optbench.config.run_spec import RunSpec
from optbench.errors import UserError
from optbench.files import open_files_limit

if TYPE_CHECKING:
    import torch

    from optbench.training.together.trial import Trial

LEAST = 8
"""Runs of one shape from which on it is worth while on a CPU, unless it is asked for."""

LEAST_ON_GPU = 2

MOST = 64
"""Members of a population that nobody has asked for: more gain little on a CPU."""

MOST_ON_GPU = 256

FILLS_A_CPU = 8e6
"""Operations of a run's step from which on a processor has enough to do with one run at a time:
then many at once gain nothing, for their weights no longer lie in its caches."""

FILLS_IT_AT_ONCE = 2e8
"""The same where products at once take less time than a run's own (`Trial.faster_products`), of
runs with few parameters."""

FEW_PARAMETERS = 5e5
"""With more, many at once wait for their weights, whatever is done with these."""

FREE = 0.8
"""Of the memory that is free, what a population may take."""

FILES = 6
"""Open files of a run."""


@dataclass(frozen=True)
class Population:
    """Runs that are trained at once.

    Attributes:
        numbers: of the runs, in the sweep's order.
        draws: whether their forward pass drops something.
    """

    numbers: tuple[int, ...]
    draws: bool


def populations(specs: Sequence[RunSpec], tell: Callable[[str], None]) -> list[Population]:
    """Return which runs of a sweep are trained at once; see `Grouping.of`."""
    return Grouping(tell).of(specs)


def check_population(specs: Sequence[RunSpec], elsewhere: bool) -> list[Population] | None:
    """Refuse a number of members that these runs can't be trained with, before anything is made.

    Args:
        specs: of the runs.
        elsewhere: whether other processes do them.

    Returns:
        The populations where a number is asked for, so that nobody has to try them again.

    Raises:
        UserError: see `Grouping.of`.
    """
    if _asked(specs[0]) is None:
        return None
    refuse_elsewhere(specs[0], elsewhere)
    return populations(specs, lambda line: None)


def refuse_elsewhere(spec: RunSpec, elsewhere: bool) -> None:
    """Raise UserError where a number of runs at once is asked of other processes.

    Args:
        spec: of a run.
        elsewhere: whether other processes do the runs.
    """
    wanted = _asked(spec)
    if elsewhere and wanted is not None:
        raise UserError(
            f"sweep.population={wanted}: this process trains runs at once, which other executors, "
            "launchers and torchrun do not"
        )


class Grouping:
    """Finds which runs are trained at once; runs of one shape are tried, and told of, once.

    Args:
        tell: told why runs of one shape are done one by one.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._trials: dict[str, Trial] = {}
        self._told: set[str] = set()

    def of(self, specs: Sequence[RunSpec], strict: bool = True) -> list[Population]:
        """Return which runs are trained at once; all others are done one by one.

        `sweep.population` says how many: `auto` as many as fit and where it gains, `off` none, a
        number at most so many.

        Args:
            specs: of the runs.
            strict: refuse a number of members that can't be; else as many as can are, perhaps none.

        Raises:
            UserError: strictly, and a number is asked for that these runs can't be trained with, or
                that does not fit into memory.
        """
        shapes: dict[str, list[int]] = {}
        for number, spec in enumerate(specs):
            shapes.setdefault(shape_of(spec.plain), []).append(number)
        found: list[Population] = []
        for shape, numbers in shapes.items():
            alike = [specs[number] for number in numbers]
            asked = _asked(alike[0])
            if len(numbers) < 2 or alike[0].config.sweep.population == "off":
                continue
            try:
                for part, draws in self._of_one_shape(shape, alike, strict):
                    found.append(Population(tuple(numbers[n] for n in part), draws))
            except _OneByOne as why:
                if asked is not None and strict:
                    said = f"these runs can't be trained at once ({why})"
                    raise UserError(f"sweep.population={asked}: {said}; leave it at auto") from None
                if str(why):
                    many = f"{len(numbers)} runs of one shape are done one by one"
                    self._say(shape, f"{many}: {why}")
        asked = _asked(specs[0]) if specs else None
        if asked is not None and len(shapes) == len(specs):
            self._none(specs, asked, strict)
        return found

    def _none(self, specs: Sequence[RunSpec], asked: int, strict: bool) -> None:
        """Refuse, or tell of, runs of which no two have one shape."""
        key = differing(specs[0].plain, specs[1].plain) if len(specs) > 1 else None
        reason = f"they differ in {key}" if key else "there is one run"
        if strict:
            said = f"no two of these runs have one shape: {reason}"
            raise UserError(f"sweep.population={asked}: {said}")
        if key:
            many = f"no two of {len(specs)} runs have one shape"
            self._say("", f"{many}, so they are done one by one: {reason}")

    def _say(self, shape: str, line: str) -> None:
        if shape not in self._told:
            self._told.add(shape)
            self._tell(line)

    def _of_one_shape(
        self, shape: str, specs: Sequence[RunSpec], strict: bool
    ) -> list[tuple[range, bool]]:
        """Return which runs of one shape are trained at once, and whether these drop something."""
        asked = _asked(specs[0])
        alone = why_alone(specs[0].config)
        if alone is not None:
            raise _OneByOne(f"{alone} can't be done for many at once")
        from optbench.training.distributed import join

        device = join(specs[0].config.device).device
        few = LEAST if device.type == "cpu" else LEAST_ON_GPU
        if asked is None and len(specs) < few:
            raise _OneByOne
        trial = self._trials.get(shape) or _tried(specs)
        if trial is None:
            raise _OneByOne
        self._trials[shape] = trial
        if trial.why_not is not None:
            raise _OneByOne(trial.why_not)
        room = trial.faster_products and trial.numbers <= FEW_PARAMETERS
        enough = FILLS_IT_AT_ONCE if room else FILLS_A_CPU
        if asked is None and device.type == "cpu" and trial.work > enough:
            work = f"a step's {trial.work / 1e6:.3g} million operations"
            raise _OneByOne(f"{work} keep a processor busy (sweep.population=8 does 8 at once)")
        most = _at_most(trial, device, len(specs), asked=asked, strict=strict)
        count = -(-len(specs) // most)
        cuts = [len(specs) * part // count for part in range(count + 1)]
        return [(range(low, high), trial.draws) for low, high in pairwise(cuts) if high > low + 1]


def _asked(spec: RunSpec) -> int | None:
    """Return the number of runs at once that is asked for, if one is."""
    wanted = spec.config.sweep.population
    return wanted if isinstance(wanted, int) else None


class _OneByOne(Exception):
    """Says why runs of one shape are done one by one; nothing where nobody wonders."""


def _tried(specs: Sequence[RunSpec]) -> Trial | None:
    """Return what a trial of the first and the last found; None if they can't even be built."""
    from optbench.assemble.experiment import build_experiment
    from optbench.runs.process import left_as_found
    from optbench.runs.start import start_weights
    from optbench.runs.surroundings import check_surroundings
    from optbench.training.distributed import join
    from optbench.training.together.trial import Trial, try_together

    trainers = []
    with left_as_found():
        for spec in (specs[0], specs[-1]):
            try:
                data, world = check_surroundings(spec), join(spec.config.device)
                weights = start_weights(spec.config, world)
                built = build_experiment(spec.config, data, world, weights, spec.names)
            except Exception:  # the run itself will say so
                return None
            trainers.append(built.trainer())
        try:
            return try_together(trainers)
        except Exception as error:  # of a user's own code, in what it is not made for
            return Trial(f"trying two gives {type(error).__name__}")


def _at_most(trial: Trial, device: torch.device, runs: int, asked: int | None, strict: bool) -> int:
    """Return how many are trained at once; `strict`: refuse a number that does not fit."""
    from optbench.training.room import free_bytes

    free = free_bytes(device)
    fit = trial.members_in(FREE * free) if free else runs
    files = max(2, open_files_limit() // FILES - 10)
    usual = MOST if device.type == "cpu" else MOST_ON_GPU
    wanted = min(runs, usual if asked is None else asked)
    if fit < 2 or (strict and asked is not None and wanted > fit):
        need, have = (_size(amount) for amount in (trial.bytes_of(wanted), free))
        fits = f"; at most {fit} fit" if fit > 1 else ""
        raise _OneByOne(f"{wanted} runs take {need} of memory, and {have} are free{fits}")
    if strict and asked is not None and wanted > files:
        raise _OneByOne(f"{wanted} runs open more files than this process may; at most {files}")
    return min(wanted, fit, files)


def _size(count: float) -> str:
    for unit, size in (("GiB", 2**30), ("MiB", 2**20)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count / 1024:.3g} KiB"
