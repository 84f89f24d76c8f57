"""What there is to tell of past runs side by side: how each ended, and what differs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from optbench.config.flow import flow
from optbench.config.reserved import OF_READING, OF_THE_FILE
from optbench.errors import UserError
from optbench.escape import spreadsheet
from optbench.files import strict
from optbench.rundir import RunDir
from optbench.runs.read import Run

_TOLD_APART = ("name", "tags", "notes", "resume", "data_root", "target")
"""What of a config stands for itself, or makes no difference to a run."""


@dataclass(frozen=True)
class Past:
    """A past run as it is told of.

    Attributes:
        run: itself.
        config: its own, empty where it can't be read.
        problem: why it can't.
        choices: the file of each group.
        status, summary: as its folder has them.
        overridden: the keys that its command line set.
    """

    run: Run
    config: Mapping[str, Any]
    problem: str
    choices: Mapping[str, str]
    status: Mapping[str, Any]
    summary: Mapping[str, Any]
    overridden: Sequence[str] = field(default=())

    @classmethod
    def of(cls, run: Run) -> Past:
        """Read all of it, once."""
        config: Mapping[str, Any] = {}
        problem = ""
        try:
            config = run.config
        except UserError as error:
            problem = str(error)
        typed = RunDir(run.path).read_overrides()
        said = [line.lstrip("+~").partition("=")[0] for line in typed["overrides"]]
        return cls(run, config, problem, typed["choices"], run.status, run.summary, said)

    @cached_property
    def state(self) -> str:
        """See `Run.state`."""
        said = str(self.status.get("state", "unknown"))
        return self.run.state if said == "running" else said

    @property
    def name(self) -> str:
        """The config's, empty where it has none."""
        return _text(self.config.get("name"))

    @property
    def notes(self) -> str:
        """See `Run.notes`."""
        return _text(self.config.get("notes"))

    @property
    def tags(self) -> list[str]:
        """See `Run.tags`."""
        return self.run.tags if self.config else []

    @property
    def started(self) -> str:
        """When, in UTC; empty if nobody knows."""
        return _text(self.status.get("started"))

    @property
    def best(self) -> Mapping[str, Any]:
        """Metric, value and step of the best evaluation, or empty."""
        best: Mapping[str, Any] = self.summary.get("best", {})
        return best

    @cached_property
    def settings(self) -> Mapping[str, Any]:
        """Every value of the config by its dotted key."""
        return dict(_leaves(self.config))

    @cached_property
    def texts(self) -> Mapping[str, str]:
        """The same as texts that differ where the values do."""
        return {key: repr(value) for key, value in self.settings.items()}

    def value(self, key: str) -> str:
        """Return what a choice or a setting is, as it is typed; empty where the run has none."""
        if key in self.choices:
            return self.choices[key]
        return flow(self.settings[key]) if key in self.settings else ""


def differing(runs: Sequence[Past]) -> list[str]:
    """Return the choices that differ among runs, and the settings that differ beyond these.

    A setting below a choice counts where runs of the same choice differ in it, or where somebody
    set it: that adam's eps is not rmsprop's says nothing.
    """
    groups = list(dict.fromkeys(group for run in runs for group in run.choices))
    found = [g for g in groups if len({run.choices.get(g) for run in runs}) > 1]
    keys = dict.fromkeys(key for run in runs for key in run.settings)
    for key in keys:
        group, _, last = key.rpartition(".")
        if key.partition(".")[0] in _TOLD_APART or last.startswith("_"):
            continue
        if last in OF_THE_FILE or (group == "dataset" and last in OF_READING):
            continue
        having = [run for run in runs if key in run.settings]
        texts = [run.texts[key] for run in having]
        if len(set(texts)) < 2:
            continue
        above = [g for g in groups if key.startswith(f"{g}.")]
        values: dict[str | None, set[str]] = {}
        for run, text in zip(having, texts, strict=True):
            choice = next((run.choices[g] for g in above if g in run.choices), None)
            values.setdefault(choice, set()).add(text)
        said = any(key in run.overridden for run in having)
        if said or any(len(each) > 1 for each in values.values()):
            found.append(key)
    return found


def telling_first(runs: Sequence[Past]) -> list[str]:
    """Return what differs among runs: command lines' first, choices, then what differs most."""

    def order(key: str) -> tuple[bool, bool, int]:
        said = any(key in run.overridden for run in runs)
        chosen = any(key in run.choices for run in runs)
        return not said, not chosen, -len({run.value(key) for run in runs})

    return sorted(differing(runs), key=order)


def _leaves(node: Mapping[str, Any], at: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in node.items():
        dotted = f"{at}.{key}" if at else str(key)
        if isinstance(value, Mapping):
            yield from _leaves(value, dotted)
        else:
            yield dotted, value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _told(run: Past) -> dict[str, Any]:
    return {
        "path": str(run.run.path),
        "name": run.name,
        "state": run.state,
        "step": run.status.get("step"),
        "started": run.started,
        "best": dict(run.best),
        "tags": run.tags,
        "notes": run.notes,
    }


def as_json(runs: Sequence[Past]) -> str:
    """Return a JSON list of runs, with the choices of each and what differs among them."""
    keys = differing(runs)
    told = []
    for run in runs:
        differs = {key: run.choices.get(key, run.settings.get(key)) for key in keys}
        told.append(strict({**_told(run), "choices": dict(run.choices), "differs": differs}))
    return json.dumps(told, indent=1)


def as_csv(runs: Sequence[Past]) -> str:
    """Return CSV with a line a run, and a column for each choice and setting that differs."""
    keys = differing(runs)
    first = ["path", "name", "state", "step", "started"]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*first, "best_metric", "best_value", "best_step", "tags", "notes", *keys])
    for run in runs:
        told = _told(run)
        best = [run.best.get(key) for key in ("metric", "value", "step")]
        row = [*(told[key] for key in first), *best, " ".join(run.tags), run.notes]
        cells = [*row, *map(run.value, keys)]
        writer.writerow([spreadsheet(cell) if isinstance(cell, str) else cell for cell in cells])
    return text.getvalue()
