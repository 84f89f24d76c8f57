"""An experiment as it is to be run: the words of each part, with its budget's and its seeds."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from optbench.claims.asked import NAMING, Asked, replaced
from optbench.claims.claim import OF_ANOTHER, Case, Claim, Part
from optbench.compose.composer import Composer, keys_of
from optbench.compose.sweeps import Grid, compose_grid, varied_keys
from optbench.config.identity import digest, identity
from optbench.config.suggest import did_you_mean
from optbench.errors import UserError
from optbench.population.asked import asked, check_space
from optbench.runs.surroundings import check_surroundings
from optbench.runs.sweep import specs_of

USUAL = ("device=cpu", "threads=1", "checkpoint=none", "monitor.tensorboard=false")
"""Of all runs, unless a claim says otherwise: verdicts are of a laptop's processor, and small."""
LENGTHS = ("steps", "epochs")
FIRST_OF_FULL = 2000
"""The first seed of full runs: none that a claim was written with, which are quick's, from 0 on."""


class NotThere(UserError):
    """A choice that is to be replaced is not in a claim's experiment."""


@dataclass(frozen=True)
class Planned:
    """A part that is to be run.

    Attributes:
        part: of the claim.
        case: in which of its conditions.
        words: of the verb.
        hash: of what decides what it comes to; it is in the name of its folder.
        varied: the keys that differ among its runs, but the seed.
        seeds: of its runs.
        runs: how many.
    """

    part: Part
    case: str
    words: Sequence[str]
    hash: str
    varied: Sequence[str]
    seeds: Sequence[int]
    runs: int

    @property
    def folder(self) -> str:
        """The name of its folder."""
        return f"{self.part.name}-{self.hash}"


def plan(composer: Composer, claim: Claim, wanted: Asked, there: bool = True) -> list[Planned]:
    """Return all parts, in all cases; nothing is run or made.

    Args:
        composer: of the runs.
        claim: whose experiment.
        wanted: how it is asked for.
        there: look whether data sets and devices are there.

    Raises:
        UserError: words that a verb does not have, a choice to be replaced that is not there.
    """
    seeds = seeds_of(claim, wanted)
    found: list[Planned] = []
    seen: set[str] = set()
    for case, more in claim.cases.items():
        planned: dict[str, Planned] = {}
        for part in sorted(claim.parts, key=_turn):
            lines, replaced_ones = _words(claim, part, more, wanted, seeds)
            seen |= replaced_ones
            try:
                planned[part.name] = _planned(composer, part, case, lines, seeds, planned, there)
            except UserError as error:
                own = without(lines, wanted.overrides)
                raise UserError(_told(claim, part, own, str(error))) from None
        found += planned.values()
    for old in wanted.instead or {}:
        if old not in seen:
            names = sorted({name for each in found for name in _choices(each.words)})
            near = did_you_mean(old, names) if names else "it names no choices"
            raise NotThere(f"instead: {claim.name} has no {old} in its experiment; {near}")
    return found


def _told(claim: Claim, part: Part, own: Sequence[str], said: str) -> str:
    """Return a message, with where its words stand if they are a claim's own."""
    of_claim = any(said.startswith(f"{line.partition('=')[0]}=") for line in own)
    return f"claim={claim.name}: experiment: {part.name}: {said}" if of_claim else said


def _turn(part: Part) -> int:
    """Return when a part's turn is: after those that it takes up."""
    return 1 + OF_ANOTHER.index(part.verb) if part.verb in OF_ANOTHER else 0


def seeds_of(claim: Claim, wanted: Asked) -> list[int]:
    """Return the seeds of a claim's runs.

    Raises:
        UserError: several, where nothing is drawn.
    """
    many = wanted.seeds or claim.budgets[wanted.budget].seeds
    if claim.exact and many > 1:
        raise UserError(f"seeds={many}: {claim.name} draws nothing: {claim.exact}")
    first = wanted.first
    if first is None:
        first = FIRST_OF_FULL if wanted.budget == "full" and not claim.exact else 0
    return [first + number for number in range(many)]


def _words(
    claim: Claim, part: Part, case: Case, wanted: Asked, seeds: Sequence[int]
) -> tuple[list[str], set[str]]:
    """Return the words of a part's verb, and what of them was replaced."""
    budget = claim.budgets[wanted.budget]
    in_case, own = case.parts.get(part.name, ()), budget.parts.get(part.name, ())
    probed = any(each.verb == "probe" and each.of == part.name for each in claim.parts)
    kept = ["checkpoint=final"] if probed else []
    if part.verb in OF_ANOTHER:
        return joined(joined([*kept, *part.words], in_case), own), set()
    lines = joined(USUAL, kept)
    for more in (claim.every, part.words, case.every, in_case, budget.every, own):
        lines = joined(lines, more)
    lines, found = replaced(lines, wanted.instead or {})
    lines = joined(lines, wanted.overrides)
    first = _seeds(part, seeds)  # so that settings take turns, seed by seed
    return [*first, *without(lines, first)], found


def _seeds(part: Part, seeds: Sequence[int]) -> list[str]:
    if part.verb == "benchmark":
        return [f"seeds={len(seeds)}", f"seed={seeds[0]}"]
    if part.verb in ("check", "pbt"):  # one after the other, each with its own
        return []
    if part.verb == "find_lr":
        return [f"seed={seeds[0]}"]
    return ["seed=" + ",".join(map(str, seeds))]


def joined(lines: Sequence[str], more: Sequence[str]) -> list[str]:
    """Return words with further ones, which hold where both say something of a key."""
    return [*without(lines, more), *more]


def without(lines: Sequence[str], more: Sequence[str]) -> list[str]:
    """Return words without those of which others say something, too."""
    keys = set(keys_of(more))
    if keys & set(LENGTHS):
        keys |= set(LENGTHS)
    return [line for line in lines if keys_of([line])[0] not in keys]


def _choices(words: Sequence[str]) -> list[str]:
    """Return the names in words that `instead` can replace."""
    pairs = [line.partition("=") for line in words]
    texts = [value for key, _, value in pairs if key in NAMING]
    return [name for text in texts for name in re.findall(r"[\w.]+", text)]


def _planned(
    composer: Composer,
    part: Part,
    case: str,
    words: list[str],
    seeds: Sequence[int],
    before: Mapping[str, Planned],
    there: bool,
) -> Planned:
    if part.verb in ("sweep", "ranks"):
        hashes, varied = _composed(composer, words, there, part.ranks)
        ranks = [part.ranks] if part.ranks > 1 else []
        return Planned(
            part=part,
            case=case,
            words=words,  # of what is recorded, too
            hash=digest([hashes, words, composer.config_dir, *ranks]),
            varied=[key for key in varied if key != "seed"],
            seeds=seeds,
            runs=len(hashes),
        )
    if part.verb == "pbt":
        members, base = _population(composer, words, there)
        return Planned(
            part=part,
            case=case,
            words=words,
            hash=digest([base, words, [*seeds], composer.config_dir]),
            varied=[],
            seeds=seeds,
            runs=members * len(seeds),
        )
    on = before[part.of] if part.of else None
    return Planned(
        part=part,
        case=case,
        words=words,
        hash=digest([words, [*seeds], part.at, part.ramp, on and on.hash, composer.config_dir]),
        varied=on.varied if on else [],
        seeds=seeds,
        runs=on.runs if on and part.verb == "probe" else len(seeds),
    )


def _composed(
    composer: Composer, words: Sequence[str], there: bool, ranks: int
) -> tuple[list[str], tuple[str, ...]]:
    """Return the hash of each run of a sweep, and the keys that differ among them.

    Raises:
        UserError: one can't be composed, or lacks its data set or device.
    """
    grid = compose_grid(composer, words)
    if not isinstance(grid, Grid) or not grid.basic:
        raise UserError("hydra/launcher, hydra/sweeper: not in a claim")
    specs = specs_of(composer, grid.runs)
    seen = set()
    for spec in specs:
        data = digest(spec.plain["dataset"])
        if there and data not in seen:
            check_surroundings(spec, ranks=ranks)
            seen.add(data)
    return [identity(spec.plain) for spec in specs], varied_keys(grid.runs)


def _population(composer: Composer, words: Sequence[str], there: bool) -> tuple[int, str]:
    """Return how many members a population has, and the hash of a run without their values.

    Raises:
        UserError: what `optbench pbt` refuses before it begins; a data set that is missing.
    """
    wanted, rest = asked(composer, words)
    spec = composer.spec(composer.compose(rest), rest)
    check_space(wanted.space, spec)
    if there:
        check_surroundings(spec)
    return wanted.members, identity(spec.plain)
