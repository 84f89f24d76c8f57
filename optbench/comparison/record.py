"""What a comparison needs of a run, as its folder tells it; the folder may be anybody's."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

from optbench.config.identity import identity
from optbench.errors import UserError
from optbench.files import BadFile, read_text
from optbench.rundir import RunDir
from optbench.runs.past import Past
from optbench.runs.read import Run
from optbench.runs.result import MACHINES
from optbench.runs.resume import CHANGED
from optbench.statistics import is_score
from optbench.which_run import RUNS

ENDED = ("finished", "stopped_early")
MISSED = ("diverged", "failed")
PRUNED = "pruned"
"""How the message of a run begins that its study gave up."""

Unit = tuple[int, str]
"""What runs are paired by: the seed, and the fold of the data set, empty where there is none."""

LONGEST_LINE = 10_000
MOST_EXAMPLES = 2.0**63
_HASH = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True)
class Record:
    """A run as a comparison sees it.

    Attributes:
        past: all of it.
        problem: why it can't take part; empty where it can.
    """

    past: Past
    problem: str

    @classmethod
    def of(cls, run: Run) -> Record:
        """Read a run, once."""
        past = Past.of(run)
        return cls(past, _problem(past))

    @property
    def path(self) -> Path:
        """Its folder."""
        return self.past.run.path

    @property
    def config(self) -> Mapping[str, Any]:
        """Its own, plain."""
        return self.past.config

    @property
    def missed(self) -> bool:
        """Whether it ended without a result that counts."""
        return self.past.state in MISSED

    @property
    def unit(self) -> Unit:
        """What it is paired by."""
        fold = self.past.settings.get("dataset.fold")
        return int(self.config["seed"]), "" if fold is None else str(fold)

    @property
    def final(self) -> Mapping[str, float]:
        """The last value of each metric; empty of a run without a summary."""
        final: Mapping[str, float] = self.past.summary.get("final", {})
        return final

    def score(self, metric: str) -> float | None:
        """Return its last value of a metric; None of a run that missed, or has none.

        One that is too large to be squared is infinite.
        """
        value = None if self.missed else self.final.get(metric)
        if value is None or math.isnan(value):
            return value
        return float(value) if is_score(value) else math.copysign(math.inf, value)

    @property
    def examples(self) -> float | None:
        """How many examples it took; None where nobody knows."""
        taken = self.past.summary.get("examples")
        if isinstance(taken, bool) or not isinstance(taken, int | float):
            return None
        return float(taken) if 0 <= taken < MOST_EXAMPLES else None

    @property
    def steps(self) -> int | None:
        """How many steps it took."""
        return self.past.summary.get("step")

    @cached_property
    def environment(self) -> Mapping[str, Any]:
        """What it was made with; empty where nobody knows."""
        return RunDir(self.path).read_json("env.json")

    @cached_property
    def _log(self) -> list[str] | None:
        """What its log says, by line, without the times; None where it can't be read."""
        try:
            lines = read_text(RunDir(self.path).log).splitlines()
        except (OSError, BadFile):
            return None
        return [line.partition(" ")[2] for line in lines if len(line) < LONGEST_LINE]

    @property
    def silent(self) -> bool:
        """Whether nobody knows what a resume changed, since its log can't be read."""
        return self._log is None

    @property
    def labelled(self) -> bool:
        """Whether it was given tags or notes after it had ended, as its log tells."""
        return any(line.startswith(("tags=", "notes=")) for line in self._log or ())

    @cached_property
    def changed(self) -> dict[str, tuple[str, str]]:
        """Keys that a resume changed, with what each was and became, as its log tells."""
        found: dict[str, tuple[str, str]] = {}
        for line in self._log or ():
            if line.startswith(CHANGED) and line.endswith(")"):
                key, _, values = line.removeprefix(CHANGED).partition("=")
                new, was, old = values[:-1].rpartition(" (was ")
                if was:
                    found[key] = (found.get(key, (old, ""))[0], new)
        return found


def _problem(past: Past) -> str:
    """Return why a run can't take part, in a few words."""
    if past.problem:
        return past.problem.removeprefix(f"{past.run.path}/")
    if _edited(past):
        return "its config.yaml is not the one that it was begun with"
    seed = past.config.get("seed")
    if not isinstance(seed, int) or isinstance(seed, bool):
        return "its config has no seed"
    if not past.choices:
        return "its overrides.yaml is missing or damaged"
    if past.state in MISSED:
        if past.status.get(MACHINES) is True:
            return "the machine failed it, no fault of its settings"
        return ""
    if past.state not in ENDED:
        return _NOT_ENDED.get(past.state, "nobody knows how it ended")
    if past.state == "stopped_early" and str(past.status.get("message")).startswith(PRUNED):
        return "its study gave it up"
    if not past.summary:
        return "its summary.json is missing or damaged"
    if past.summary["state"] != past.state or past.summary["step"] != past.status.get("step"):
        return "its summary is of another step than its status"
    return ""


def _edited(past: Past) -> bool:
    """Return whether a run's config was changed by hand: no seal of its status is of it."""
    folder = RunDir(past.run.path)
    named = _HASH.fullmatch(past.run.path.name) and past.run.path.parent.name == RUNS
    if named and identity(past.config) != past.run.path.name:
        return True
    seals = past.status.get("config")
    known = [seal.get("sha256") for seal in seals if isinstance(seal, dict)] if seals else []
    try:
        text = read_text(folder.config)
    except (OSError, BadFile):
        return True
    return bool(known) and sha256(text.encode("utf-8")).hexdigest() not in known


_NOT_ENDED = {
    "running": "it is still running",
    "killed": "it was killed; optbench resume goes on with it",
    "preempted": "it was interrupted; optbench resume goes on with it",
}


def taking_part(every: Sequence[Record]) -> tuple[list[Record], list[tuple[Path, str]]]:
    """Return the runs that can take part, the oldest first, and the others with why not.

    Raises:
        UserError: none can.
    """
    left_out = [(record.path, record.problem) for record in every if record.problem]
    fine = [record for record in every if not record.problem]
    if not fine and every:
        more = f", and {len(every) - 1} more like it" if len(every) > 1 else ""
        path, why = left_out[0]
        raise UserError(f"no run has ended that could be compared: {path}: {why}{more}")
    return sorted(fine, key=lambda record: record.past.started), left_out
