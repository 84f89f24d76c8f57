"""What a command line asks of claims, and which claims there are."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optbench.claims.claim import Claim
from optbench.claims.read import BUDGETS, MOST_SEEDS, read_claim
from optbench.compose.composer import Composer
from optbench.compose.executors import without_executor
from optbench.compose.files import GROUPS
from optbench.config.suggest import did_you_mean, nearest
from optbench.errors import UserError
from optbench.launched import launched_ranks
from optbench.tuning.words import Said, words_of

GROUP = "claim"
MOST_AT_ONCE = 1000
WORDS = ("budget", "seeds", "seed", "instead", "at_once")
NAMING = (*GROUPS, "optimizers", "schedules", "workloads", "space", "suite")
"""Words whose values are names of choices: of groups, and a benchmark's own."""


@dataclass(frozen=True)
class Asked:
    """What is asked.

    Attributes:
        budget: `quick` or `full`.
        seeds: how many, None for as many as the budget has.
        first: the first seed, None for the budget's.
        instead: other choices by those that an experiment names, such as adamw for adam.
        overrides: of all runs.
        executor: the words that say who does them.
        at_once: claims that are tested side by side, each by a process of its own.
    """

    budget: str
    seeds: int | None = None
    first: int | None = None
    instead: Mapping[str, str] | None = None
    overrides: Sequence[str] = ()
    executor: Sequence[str] = ()
    at_once: int = 1

    @property
    def as_published(self) -> bool:
        """Whether the experiment is the one that the claim's file says."""
        return not self.instead and not self.overrides


def asked(composer: Composer, lines: Sequence[str]) -> Asked:
    """Read the words of `claim`.

    Raises:
        UserError: one that is not valid; a launch of several processes.
    """
    if launched_ranks() > 1:
        raise UserError("claim: not under torchrun; executor=local does runs side by side")
    choice, rest = without_executor(composer, lines)
    said, overrides = words_of(composer, rest, WORDS)
    budget = said.get("budget", "quick")
    if budget not in BUDGETS:
        near = did_you_mean(str(budget), BUDGETS)
        raise UserError(f"{said.line('budget')}: no such budget; {near}")
    for line in overrides:
        if line.lstrip("+~").partition("=")[0].startswith("hydra"):
            raise UserError(f"{line}: a claim's runs go to runs/claims")
    return Asked(
        budget=str(budget),
        seeds=_number(said, "seeds", 1, MOST_SEEDS),
        first=_number(said, "seed", 0, 2**31),
        instead=_instead(said),
        overrides=overrides,
        executor=list(choice.lines),
        at_once=_number(said, "at_once", 1, MOST_AT_ONCE) or 1,
    )


def _number(said: Said, word: str, least: int, most: int) -> int | None:
    if word not in said:
        return None
    value = said[word]
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        expected = f"a whole number from {least} to {most}"
        raise UserError(f"{said.line(word)}: not valid; expected {expected}")
    return value


def _instead(said: Said) -> dict[str, str] | None:
    value = said.get("instead")
    if value is None:
        return None
    if not isinstance(value, Mapping) or any(isinstance(v, Mapping | list) for v in value.values()):
        raise UserError(f"{said.line('instead')}: expected such as 'instead={{adam: adamw}}'")
    return {str(key): str(other) for key, other in value.items()}


def names_of_claims(composer: Composer) -> list[str]:
    """Return which claims there are, a user's own among them."""
    return composer.files.options(GROUP)


def claim_of(composer: Composer, name: str) -> Claim:
    """Return a claim.

    Raises:
        UserError: there is none of this name, with the nearest; or its file is no claim.
    """
    known = names_of_claims(composer)
    if name not in known:
        near = nearest(name, known)
        said = f"did you mean {near}?" if near else "optbench claim lists them"
        raise UserError(f"claim {name}: no such claim; {said}")
    return read_claim(_with_texts(composer.files.file(GROUP, name)), name)


def _with_texts(plain: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in plain.items() if not key.startswith("_")}


def replaced(words: Sequence[str], instead: Mapping[str, str]) -> tuple[list[str], set[str]]:
    """Return words with other choices of groups, and which of them were there to be replaced.

    Example:
        >>> replaced(["optimizer=sgd,adam", "optimizer.lr=1"], {"adam": "adamw"})
        (['optimizer=sgd,adamw', 'optimizer.lr=1'], {'adam'})
    """
    found: set[str] = set()
    lines = []
    for line in words:
        key, equals, value = line.partition("=")
        if key in NAMING:
            for old, new in instead.items():
                value, count = re.subn(rf"(?<![\w.]){re.escape(old)}(?![\w.])", new, value)
                found |= {old} if count else set()
        lines.append(f"{key}{equals}{value}")
    return lines, found
