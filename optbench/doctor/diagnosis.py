"""A run's symptoms, from its folder."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from optbench.doctor.lacking import Lines, checkpoints_lacking, records_lacking, summary_lacking
from optbench.errors import UserError
from optbench.rundir import RunDir
from optbench.runs.find import find_runs, of_no_run
from optbench.runs.live_doctor import own_rule
from optbench.runs.read import Run
from optbench.symptoms.base import Rule, Symptom
from optbench.symptoms.examination import Examination
from optbench.symptoms.facts import Facts
from optbench.symptoms.rules import RULES, made

MOST_POINTS = 400
"""Of a curve that is kept to be drawn."""

Curve = tuple[list[float], list[float]]


@dataclass(frozen=True)
class Diagnosis:
    """What is found of one run.

    Attributes:
        run: itself.
        state: of it.
        step: the last that it took, or recorded.
        symptoms: in the order of their steps.
        curves: of the tags that symptoms name: steps and values.
        notes: what could not be looked at, a line each.
        damaged: whether some of that is because a file can't be read, or lacks what it had.
    """

    run: Run
    state: str
    step: int
    symptoms: tuple[Symptom, ...]
    curves: Mapping[str, Curve] = field(default_factory=dict, repr=False)
    notes: tuple[str, ...] = ()
    damaged: bool = False

    @property
    def severe(self) -> bool:
        """Whether one of the symptoms is."""
        return any(symptom.severe for symptom in self.symptoms)

    @property
    def plain(self) -> dict[str, Any]:
        """All of it as plain data."""
        return {
            "run": str(self.run.path),
            "state": self.state,
            "step": self.step,
            "symptoms": [asdict(symptom) for symptom in self.symptoms],
            "notes": list(self.notes),
            "damaged": self.damaged,
        }


def diagnosed(
    *folders: str | os.PathLike[str], every: bool = False, own: Sequence[type[Rule]] = ()
) -> list[Diagnosis]:
    """Examine the runs at and below some folders.

    Args:
        folders: of runs, sweeps, or folders of these; default `runs`.
        every: by all rules, those too that are off by default.
        own: further rules.

    Raises:
        UserError: a folder that is not there, or without any run.
    """
    runs = find_runs(*folders)
    if not runs:
        where = " ".join(map(str, folders)) or "runs"
        raise UserError(f"{where}: no runs are there{of_no_run(folders)}")
    return [examined(run, every, own) for run in runs]


def examined(run: Run, every: bool = False, own: Sequence[type[Rule]] = ()) -> Diagnosis:
    """Examine a run: show its records to the rules, and then how it ended."""
    notes: list[str] = []

    def failed(rule: Rule, error: Exception) -> None:
        why = f"{type(error).__name__}: {' '.join(str(error).split())}"
        notes.append(f"the rule {rule.name} fails and is left out ({why})")

    facts, read = Facts(), True
    try:
        facts = Facts.of(run.config, _sizes(run))
    except UserError as error:
        notes.append(str(error))
        read = False
    rules = [*made(facts, every), *(rule(facts) for rule in own)]
    examination = Examination(rules, failed)
    last, state, wrong = 0, run.state, ""
    lines = Lines(RunDir(run.path).metrics)
    try:
        for record in lines:
            last = max(last, record["step"])
            examination.see(record)
    except (UserError, OSError) as error:
        wrong = str(error)
    wrong = wrong or records_lacking(run, state, last, lines)
    if read and state in ("finished", "stopped_early", "diverged"):
        message = str(run.status.get("message", ""))
        end = {"kind": "end", "step": max(last, _step_of(run)), "state": state}
        examination.see({**end, "message": message})
    found = tuple(examination.found)
    if wrong:
        notes.append(wrong)
    elif not last:
        notes.append("nothing was recorded")
    lacking = [line for line in (summary_lacking(run, state), *checkpoints_lacking(run)) if line]
    notes += lacking
    curves = {} if wrong else _curves(run, {tag for each in found for tag in each.tags})
    damaged = not read or bool(wrong or lacking)
    return Diagnosis(run, state, max(last, _step_of(run)), found, curves, tuple(notes), damaged)


def _step_of(run: Run) -> int:
    """Return the step at which a run's status is; 0 where it says none."""
    step = run.status.get("step")
    return step if isinstance(step, int) and not isinstance(step, bool) else 0


def _sizes(run: Run) -> Mapping[str, Any]:
    """Return the data's sizes as the folder says them, empty where nobody knows."""
    found = RunDir(run.path).read_json("env.json").get("data")
    return found if isinstance(found, Mapping) else {}


def _curves(run: Run, tags: set[str]) -> dict[str, Curve]:
    """Return the curves of some tags, thinned to what a picture can show."""
    if not tags:
        return {}
    found: dict[str, Curve] = {tag: ([], []) for tag in tags}
    for record in Lines(RunDir(run.path).metrics):
        for tag in tags & record.keys():
            value = record[tag]
            if isinstance(value, int | float):
                found[tag][0].append(float(record["step"]))
                found[tag][1].append(float(value))
    thinned = {}
    for tag, (steps, values) in found.items():
        each = -(-len(steps) // MOST_POINTS) or 1
        thinned[tag] = (steps[::each], values[::each])
    return thinned


def own_rules(rules: Any) -> tuple[type[Rule], ...]:
    """Return rules of the user's own, given as classes.

    Raises:
        UserError: what is no tuple or list of rules' classes.
    """
    if not isinstance(rules, tuple | list):
        raise UserError(f"rules={rules!r}: expected a list of classes, such as [MyRule]")
    for rule in rules:
        if not (inspect.isclass(rule) and issubclass(rule, Rule) and rule.name):
            wanted = "a class, a Rule of optbench.symptoms.base with a name"
            raise UserError(f"rules={rule!r}: expected {wanted}")
    return tuple(rules)


def rules_named(paths: Sequence[str]) -> list[type[Rule]]:
    """Return rules of the user's own by their dotted paths.

    Raises:
        UserError: one is not there, or is called as one of ours is.
    """
    own = [own_rule(path, "--rule") for path in paths]
    for rule in own:
        if rule.name in {each.name for each in RULES}:
            raise UserError(f"--rule={rule.__name__}: there is a rule {rule.name} already")
    return own
