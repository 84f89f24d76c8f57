"""Other points than the one that is looked at: a run's checkpoints, or another run's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from optbench.errors import UserError
from optbench.instruments.base import Instrument, Measurement, Progress, unwatched
from optbench.instruments.look import Look

State = Mapping[str, Tensor]


@dataclass(frozen=True)
class Point:
    """Where a run was at a step.

    Attributes:
        step: of the run.
        state: of the player's module, by the names of its state dict.
        run: whose point it is, as it is called in pictures; empty for the run that is looked at.
    """

    step: int
    state: State
    run: str = ""


AFTERWARDS = (
    "it needs other checkpoints than the one at hand: optbench probe measures it afterwards"
)
"""Why such an instrument can't measure at one point."""


@runtime_checkable
class Along(Instrument, Protocol):
    """An instrument that needs other points than the one that is looked at.

    `measure` is what it does while a run trains, from look to look; where it does nothing then, it
    raises a UserError of AFTERWARDS.

    Attributes:
        name, what: as of an `Instrument`.
        once: whether it is of all points together, and not of the point that is looked at.
        to: the folder of the run whose point it wants; None for those of the run itself, all of its
            checkpoints, oldest first.
        at: which point of the other run: `best`, `last`, or a step.
    """

    once: bool
    to: str | None
    at: str

    def measure_along(
        self, look: Look, points: Sequence[Point], progress: Progress = unwatched
    ) -> Measurement:
        """Measure.

        Args:
            look: at the run, at the point that was asked for: its examples and its model.
            points: what it wants, oldest first.
            progress: is told how far it has come.

        Raises:
            UserError: it turned out that it can't, in a line.
        """
        ...


@torch.no_grad()
def here(look: Look) -> Point:
    """Return the point that is looked at, copied."""
    state = {name: tensor.clone() for name, tensor in look.module.state_dict().items()}
    return Point(look.step, state)


def parameters_of(point: Point, look: Look) -> list[Tensor]:
    """Return the values of the parameters that are trained, in their order.

    Raises:
        UserError: the point is of another model.
    """
    check_fits(point, look)
    found = zip(look.player.names, look.parameters, strict=True)
    return [point.state[name].to(parameter.device) for name, parameter in found]


def check_fits(point: Point, look: Look) -> None:
    """Raise UserError for a point of another model than the one that is looked at."""
    own = {name: list(tensor.shape) for name, tensor in look.module.state_dict().items()}
    theirs = {name: list(tensor.shape) for name, tensor in point.state.items()}
    if own == theirs:
        return
    whose = f"{point.run}: " if point.run else ""
    name = next(n for n in [*own, *theirs] if own.get(n) != theirs.get(n))
    shapes = [there.get(name, "not there") for there in (theirs, own)]
    raise UserError(
        f"{whose}another model than the run's: {name} is {shapes[0]}, in the run {shapes[1]}"
    )


@contextmanager
def placed(look: Look, state: State) -> Iterator[None]:
    """Have the module in another state in the block: parameters, and batch norm's statistics."""
    own = look.module.state_dict()
    kept = {name: tensor.detach().clone() for name, tensor in own.items()}
    try:
        with torch.no_grad():
            for name, tensor in own.items():
                tensor.copy_(state[name])
        yield
    finally:
        with torch.no_grad():
            for name, tensor in own.items():
                tensor.copy_(kept[name])
