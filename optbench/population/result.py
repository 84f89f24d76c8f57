"""What a population came to, for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from optbench.population.evolve import ranked
from optbench.population.replay import write_replay
from optbench.population.report import Ancestor, last_round, line_of
from optbench.runs.result import RunResult, load_result

if TYPE_CHECKING:
    from optbench.population.pbt import Evolved
    from optbench.runs.read import Run


@dataclass(frozen=True)
class Population:
    """What a population came to.

    Attributes:
        folder: the population's; each member's run of a round is `ROUND-MEMBER` in it.
        metric: by which members were compared, of the validation set.
        mode: `min` or `max`.
        members: their runs of the last round that is over, the best first.
        history: the best member's line of ancestors, a round each; empty where no member is left.
        replay: the file of its values that `schedule=replay` trains with, None where there is none.
        overrides: that train with these values from scratch; empty as long as rounds are left.
        message: what became of the last members, where none is left.
    """

    folder: Path
    metric: str
    mode: str
    members: Sequence[RunResult]
    history: Sequence[Ancestor] = ()
    replay: Path | None = None
    overrides: Sequence[str] = ()
    message: str = ""

    @property
    def winner(self) -> Run | None:
        """The best member's run of the last round, to be read; None where no member is left."""
        return self.members[0].run if self.history else None


def population_of(evolved: Evolved) -> Population:
    """Return what a population came to; write the file of the best one's values if it is done."""
    jobs = evolved.jobs
    folder, plan, over = jobs.folder.path, jobs.plan, last_round(jobs)
    if over is None:
        return Population(folder, plan.metric, plan.mode, [])
    order = ranked(jobs.rounds[over].in_order(), plan.mode)
    order += [m for m in range(plan.members) if m not in order]
    members = [load_result(jobs.at(over, m)) for m in order]
    if jobs.lost:
        return Population(folder, plan.metric, plan.mode, members, message=jobs.why_lost())
    line = line_of(jobs, over)
    if not jobs.done:
        return Population(folder, plan.metric, plan.mode, members, line)
    written = write_replay(jobs, evolved.base, line)
    return Population(
        folder,
        plan.metric,
        plan.mode,
        members,
        line,
        replay=written.path,
        overrides=written.overrides,
    )
