"""Instruments at checkpoints, one after the other."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from optbench.assemble.create import kind_of
from optbench.assemble.own import told
from optbench.errors import OwnCodeError, UserError, memory_wanting
from optbench.instruments.base import Instrument, Measurement
from optbench.instruments.look import Look
from optbench.instruments.points import Along, Point
from optbench.training.signals import Abandoned, Interruption

NUMERIC = (ArithmeticError, ValueError, RuntimeError)
"""What comes of numbers that are not finite, or of none, as in a training that is broken; torch's
errors of linear algebra are among them. What other instruments found is kept."""

PointsOf = Callable[[Along], Sequence[Point]]


class Watching(Protocol):
    """Who is shown how far it has come."""

    def show(self, step: int, instrument: str, done: int, of: int) -> None:
        """Show it."""
        ...


@dataclass
class Taken:
    """What one instrument found.

    Attributes:
        instrument: which.
        points: by step.
        lacking: why it could not measure, by step.
    """

    instrument: Instrument
    points: dict[int, Measurement] = field(default_factory=dict)
    lacking: dict[int, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """As it is asked for."""
        return name_of(self.instrument)


def name_of(instrument: Instrument) -> str:
    """Return what an instrument is called, a user's own without a name by its class."""
    return str(getattr(instrument, "name", None) or type(instrument).__name__)


@dataclass
class Measured:
    """What all instruments found.

    Attributes:
        taken: by instrument, in their order.
        steps: those that were looked at.
        signal: that ended it sooner, 0 for none.
        notes: what became of checkpoints.
    """

    taken: list[Taken]
    steps: list[int] = field(default_factory=list)
    signal: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        """Whether nothing was measured."""
        return not any(each.points for each in self.taken)


def measure(
    look_at: Callable[[int], Look],
    steps: Sequence[int],
    instruments: Sequence[Instrument],
    watching: Watching | None = None,
    interruption: Interruption | None = None,
    points_of: PointsOf = lambda along: [],
) -> Measured:
    """Measure at each step with each instrument.

    A signal ends it, with what was measured until then. An instrument that can't measure is left
    out, with its reason. So is, among several, a checkpoint that is not there any more, as of a run
    that goes on.

    Args:
        look_at: gives a look at a step.
        steps: of checkpoints.
        instruments: which.
        watching: is shown how far it is.
        interruption: whether to stop.
        points_of: gives those that an instrument needs beside the look.

    Raises:
        UserError: the only checkpoint can't be read.
    """
    found = Measured([Taken(each) for each in instruments])
    stop = Interruption() if interruption is None else interruption
    for step in steps:
        if stop.number:
            break
        try:
            look = look_at(step)
        except (UserError, OSError) as error:
            if len(steps) == 1:
                raise
            found.notes.append(str(error))
            continue
        found.steps.append(step)
        if look.player.scored is not None and len(found.steps) == 1:
            scored = f"not those that are scored ({look.player.scored})"
            found.notes.append(f"the weights that are trained, {scored}")
        for taken in found.taken:
            if getattr(taken.instrument, "once", False) and step != steps[-1]:
                continue
            try:
                _take(taken, look, watching, stop, points_of)
            except Abandoned:
                break
    for taken in found.taken if found.steps and not stop.number else ():
        if not taken.points and not taken.lacking:  # of all together, and the last can't be read
            taken.lacking[found.steps[-1]] = f"step {steps[-1]} can't be read"
    found.signal = stop.number
    return found


def _checked(found: Measurement) -> Measurement:
    """Return a measurement with plain numbers; raise UserError for what is none."""
    if not isinstance(found, Measurement):
        raise UserError(f"it gives {kind_of(found)}, not a Measurement")
    try:
        values = {str(name): float(value) for name, value in found.values.items()}
    except (TypeError, ValueError, AttributeError) as error:
        raise UserError(f"its values are no numbers by name ({error})") from None
    return dataclasses.replace(found, values=values)


def _take(
    taken: Taken,
    look: Look,
    watching: Watching | None,
    stop: Interruption,
    points_of: PointsOf,
) -> None:
    """Have one instrument measure at one step."""
    instrument, step = taken.instrument, look.step

    def progress(done: int, of: int) -> None:
        if stop.number:
            raise Abandoned(stop.number)
        if watching is not None:
            watching.show(step, taken.name, done, of)

    progress(0, 1)
    try:
        lacking = instrument.lacking(look)
        if lacking is not None:
            taken.lacking[step] = lacking
        elif isinstance(instrument, Along):
            points = points_of(instrument)
            taken.points[step] = _checked(instrument.measure_along(look, points, progress))
        else:
            taken.points[step] = _checked(instrument.measure(look, progress))
    except Abandoned:
        raise
    except OwnCodeError:
        raise
    except UserError as error:
        taken.lacking[step] = str(error)
    except Exception as error:
        ours = type(instrument).__module__.startswith("optbench.")
        wanting = memory_wanting(error)
        if ours and wanting is None:
            if not isinstance(error, NUMERIC):
                raise
            why = (str(error).splitlines() or [""])[0]
            wanting = f"its numbers can't be had here ({type(error).__name__}: {why[:120]})"
        said = told(error, taken.name, [type(instrument).__module__])
        taken.lacking[step] = wanting or str(said).removeprefix(f"{taken.name}: ")
