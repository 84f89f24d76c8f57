"""What a population came to: its last round, and the best member's line of ancestors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optbench.config.flow import flow
from optbench.console import shown
from optbench.errors import UserError
from optbench.monitor.numerals import significant
from optbench.plots.tree import Node, save
from optbench.population.evolve import Member, ranked
from optbench.population.members import PopulationJobs

TREE = "tree.png"


@dataclass(frozen=True)
class Ancestor:
    """One of a member's ancestors, or itself in the last round.

    Attributes:
        number: the round, from 0.
        member: its number in the population.
        own: its values, and whom it copied.
        score: at the round's end.
    """

    number: int
    member: int
    own: Member
    score: float | None

    @property
    def values(self) -> Mapping[str, Any]:
        """What it trained with in its round, by key."""
        return self.own.values

    @property
    def copied(self) -> int | None:
        """The member of the round before that it copied; None if it went on by itself."""
        return self.own.parent if self.own.copied else None


def last_round(jobs: PopulationJobs) -> int | None:
    """Return the last round that is over; None if there is none."""
    over = [number for number, each in enumerate(jobs.rounds) if each.over]
    return over[-1] if over else None


def rows_of(jobs: PopulationJobs, number: int) -> tuple[list[str], list[list[str]]]:
    """Return the header and the rows of a table of a round, the best member first."""
    each = jobs.rounds[number]
    header = ["member", *jobs.space.keys, jobs.plan.metric, "copies"]
    order = ranked(each.in_order(), jobs.plan.mode)
    order += [m for m in range(len(each.members)) if m not in order]
    rows = []
    for m in order:
        member, score = each.members[m], each.scores.get(m)
        values = [_said(member.values[key]) for key in jobs.space.keys]
        shown = "lost" if score is None else significant(score)
        rows.append([str(m), *values, shown, str(member.parent) if member.copied else ""])
    return header, rows


def line_of(jobs: PopulationJobs, number: int) -> list[Ancestor]:
    """Return the line of ancestors of a round's best member, the first one first.

    Raises:
        ValueError: none has a score.
    """
    order = ranked(jobs.rounds[number].in_order(), jobs.plan.mode)
    if not order:
        raise ValueError("all members are lost")
    m, found = order[0], []
    for at in range(number, -1, -1):
        each = jobs.rounds[at]
        found.append(Ancestor(at, m, each.members[m], each.scores.get(m)))
        parent = each.members[m].parent
        m = m if parent is None else parent
    return found[::-1]


def history(jobs: PopulationJobs, line: Sequence[Ancestor]) -> tuple[list[str], list[list[str]]]:
    """Return a table of a line of ancestors: where its values changed, and whom it copied."""
    header = ["round", "member", *jobs.space.keys, jobs.plan.metric]
    rows = []
    for each in line:
        whom = f"{each.member} from {each.own.parent}" if each.own.copied else str(each.member)
        values = [_said(each.own.values[key]) for key in jobs.space.keys]
        score = "lost" if each.score is None else significant(each.score)
        rows.append([str(each.number), whom, *values, score])
    return header, rows


def _said(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else flow(value)


def save_tree(jobs: PopulationJobs, line: Sequence[Ancestor]) -> str:
    """Draw who copied whom into the population's folder; return what to tell of it."""
    best = {(each.number, each.member) for each in line}
    nodes = [
        Node(number, m, member.parent, each.scores.get(m), (number, m) in best)
        for number, each in enumerate(jobs.rounds[: len(line)])
        for m, member in enumerate(each.members)
    ]
    path = jobs.folder.path / TREE
    try:
        less = jobs.plan.mode == "min"
        save(path, nodes, jobs.plan.metric, less, "who copied whom; the best one's line in colour")
    except UserError as error:  # without matplotlib the rest is as good
        return f"no picture: {error}"
    return f"who copied whom: {shown(path)}"
