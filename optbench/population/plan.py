"""What a population is to do: `population.yaml`, sealed as a run's config is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from optbench.tuning.plan import read_sealed, write_sealed
from optbench.which_run import POPULATION

VERSION = 1
"""Of populations, higher with each change that older versions of optbench can't go on with."""


@dataclass(frozen=True)
class PopulationPlan:
    """What `population.yaml` says.

    Attributes:
        overrides: of every run.
        space: by key, as a file of the group `space` has it.
        named: where the space comes from, for messages: `space=adamw` or `search`.
        members, rounds: how many.
        quantile: the part of the members that is replaced after a round.
        resample: how likely a copied value is drawn anew.
        steps: of a run that is in all rounds.
        metric: by which members are compared, of the validation set.
        mode: `min` or `max`.
        seed: of the runs, and of what is drawn.
        executor: the overrides that say who does the runs.
        config_dir: of the user's own config files, if there is one.
        base: the config of a run without a member's values, plain.
    """

    overrides: Sequence[str]
    space: dict[str, Any]
    named: str
    members: int
    rounds: int
    quantile: float
    resample: float
    steps: int
    metric: str
    mode: str
    seed: int = 0
    executor: Sequence[str] = ()
    config_dir: str | None = None
    base: Mapping[str, Any] = field(default_factory=dict)
    version: int = field(default=VERSION)

    def end(self, number: int) -> int:
        """Return the step at which a round is over."""
        return self.steps * (number + 1) // self.rounds


def write_plan(folder: Path, plan: PopulationPlan) -> None:
    """Write a population's plan into its folder."""
    write_sealed(folder / POPULATION, plan)


def read_plan(folder: Path) -> PopulationPlan:
    """Read the plan of a population's folder; raise UserError as `read_sealed` does."""
    return read_sealed(folder / POPULATION, PopulationPlan, VERSION)
