"""What a command line asks of a population: its own words, and what is of its runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from optbench.compose.composer import Composer
from optbench.compose.resumed import is_fixed
from optbench.config.run_spec import RunSpec
from optbench.errors import UserError
from optbench.search.space import Space, refuse_strangers
from optbench.tuning.asked import metric_in, searched
from optbench.tuning.words import Said, count, words_of

WORDS = ("space", "search", "members", "rounds", "quantile", "resample", "metric")
MEMBERS, ROUNDS, QUANTILE, RESAMPLE = 8, 10, 0.25, 0.25
LENGTHS = ("steps", "epochs")
"""All members have the same length."""


@dataclass(frozen=True)
class Asked:
    """What is asked of a population.

    Attributes:
        space: what is searched.
        named: how it was named, for messages.
        members, rounds: how many.
        quantile, resample: see `evolve.next_round`.
        metric: None for the task's own.
    """

    space: Space
    named: str
    members: int
    rounds: int
    quantile: float
    resample: float
    metric: str | None


def asked(composer: Composer, overrides: Sequence[str]) -> tuple[Asked, list[str]]:
    """Return what is asked of the population, and the overrides that are of its runs.

    Raises:
        UserError: a word that is not valid, no space, or two of them.
    """
    said, rest = words_of(composer, overrides, WORDS)
    members = count(said, "members", 2) or MEMBERS
    rounds = count(said, "rounds") or ROUNDS
    quantile = _part("quantile", said, QUANTILE, 0.5, open_low=True)
    resample = _part("resample", said, RESAMPLE, 1.0)
    space, named = searched(composer, said, "pbt")
    return Asked(space, named, members, rounds, quantile, resample, metric_in(said)), rest


def _part(name: str, said: Said, default: float, high: float, open_low: bool = False) -> float:
    value = said.get(name, default)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 <= value <= high or (open_low and not value):
        low = "above 0, at most" if open_low else "from 0 to"
        raise UserError(f"{said.line(name)}: not valid; expected a number {low} {high:g}")
    return float(value)


def check_space(space: Space, base: RunSpec) -> None:
    """Refuse a space with keys that a member can't change as it goes on.

    Args:
        space: what is searched.
        base: a run without a member's values.

    Raises:
        UserError: such a key, one that there is not, or a space for another optimizer.
    """
    if space.chosen:
        raise UserError(f"{space.where}: chooses the optimizer, which members have in common; tune")
    refuse_strangers(space, base.plain, base.choices["optimizer"])
    if space.rows:
        raise UserError(f"{space.where}: a list of settings, which optbench tune tries in order")
    for key in space.keys:
        if key in LENGTHS or is_fixed(key):
            raise UserError(
                f"{space.where}: {key}: can't change when a run goes on, as pbt's members do; "
                "tune searches it"
            )
        node = base.plain["optimizer"]
        if key == "optimizer.lr" and node.get("lr_is_initial"):
            name = base.choices["optimizer"]
            raise UserError(f"{space.where}: {key}: optimizer={name} reads it only once")
