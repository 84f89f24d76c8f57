"""A claim: a sentence, the experiment that tests it, and the rule by which it is judged.

What may stand in its file, `configs/claim/NAME.yaml`, `read.py` says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from optbench.config.identity import digest

PartVerb = Literal["sweep", "ranks", "pbt", "replay", "benchmark", "probe", "check", "find_lr"]
WITH_RUNS: tuple[PartVerb, ...] = ("sweep", "ranks", "replay")
"""Verbs of parts whose runs a measure is given, and which can be probed."""
OF_ANOTHER: tuple[PartVerb, ...] = ("replay", "probe")
"""Those of parts that take up what another part has done, in the order in which they are done."""


@dataclass(frozen=True)
class Part:
    """A part of an experiment: what one public verb does.

    Attributes:
        name: which the measure asks for.
        verb: `sweep`; `ranks`, which is a sweep on several ranks; `benchmark`, `check`, `find_lr`;
            `pbt`, a population for each seed; or of another part `replay`, which trains with what
            its populations found, and `probe`, of its runs.
        words: as on the verb's command line.
        of: the part whose populations are replayed, or whose runs are probed.
        at: the checkpoints that are probed.
        ramp: of `find_lr`: `low`, `high`, `ramp_steps`.
        ranks: how many train each run of `ranks`.
    """

    name: str
    verb: PartVerb
    words: Sequence[str]
    of: str = ""
    at: str | None = None
    ramp: Mapping[str, Any] = field(default_factory=dict)
    ranks: int = 1


@dataclass(frozen=True)
class Budget:
    """How much is run.

    Attributes:
        name: `quick` or `full`.
        seeds: how many, 1 where nothing is drawn.
        every: overrides of all runs.
        parts: further words, by part.
    """

    name: str
    seeds: int
    every: Sequence[str] = ()
    parts: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """A condition under which the experiment is done.

    Attributes:
        every: overrides of all runs.
        parts: further words, by part.
    """

    every: Sequence[str] = ()
    parts: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Claim:
    """What a claim's file says.

    Attributes:
        name: of the file.
        section: of the text, such as `2.2`; several where it is said more than once.
        sentence: the text's words.
        source: who published it.
        question: what is measured, in a sentence.
        every: overrides of all runs.
        parts: of the experiment.
        cases: the conditions that are tried, by name; a single one without a name where there
            are no others.
        measure: `name` of a measure, or its dotted path, and its settings.
        rules: of the verdict; all have to hold.
        exact: why one run says it all, where nothing is drawn; else empty.
        budgets: by name.
        conditions: under which it is tested, in words.
        would_change: what would change our mind.
        changed: why the rule is another than the one of the published run; else empty.
        plain: the file's content.
    """

    name: str
    section: Sequence[str]
    sentence: str
    source: str
    question: str
    every: Sequence[str]
    parts: Sequence[Part]
    cases: Mapping[str, Case]
    measure: Mapping[str, Any]
    rules: Sequence[Mapping[str, Any]]
    exact: str
    budgets: Mapping[str, Budget]
    conditions: str
    would_change: str
    changed: str
    plain: Mapping[str, Any]

    @property
    def fixed(self) -> str:
        """The hash of all that decides the verdict: experiment, measure, rule, cases, budgets."""
        return digest({key: self.plain.get(key) for key in DECIDES})


DECIDES = ("every", "experiment", "cases", "measure", "rule", "exact", "budget")
"""Keys of the file that decide the verdict; the others are words."""
