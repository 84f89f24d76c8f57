"""The verb `runs`: past runs side by side."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from optbench.cli.flags import no_such_flag
from optbench.compose.workloads import default_name
from optbench.console import print_error, print_lines, print_table, shown
from optbench.errors import UserError
from optbench.escape import shell_word
from optbench.monitor.numerals import significant
from optbench.runs.filters import filter_of, meant
from optbench.runs.find import find_runs
from optbench.runs.past import Past, as_csv, as_json, differing

FLAGS = ("--csv", "--json", "--help")


def runs(arguments: Sequence[str]) -> int:
    """Print the past runs that some words choose: folders, and filters `key=value`.

    Raises:
        UserError: a flag, a folder or a filter that makes no sense.
    """
    flags = [word for word in arguments if word.startswith("-")]
    for flag in flags:
        if flag not in FLAGS:
            raise no_such_flag(flag, arguments, FLAGS)
    if len(set(flags)) > 1:
        raise UserError("--csv --json: one of them")
    words = [word for word in arguments if not word.startswith("-")]
    filters = [word for word in words if "=" in word and not os.path.isdir(word)]
    paths = [word for word in words if word not in filters]
    for path in paths:
        if not os.path.lexists(path) and (filtered := meant(path)):
            raise UserError(f"{path}: no such folder; did you mean {filtered}?")
    every = [Past.of(run) for run in find_runs(*paths)]
    wanted = [filter_of(line, every) for line in filters]
    found = [run for run in every if all(wants(run) for wants in wanted)]
    found.sort(key=lambda run: run.started)
    if "--json" in flags:
        print_lines(as_json(found))
    elif "--csv" in flags:
        print_lines(as_csv(found).rstrip("\n"))
    elif found:
        _as_table(found)
    else:
        where = " ".join(paths) or "runs"
        like = f" with {' '.join(filters)}" if every and filters else ""
        print_lines(f"no runs below {where}{like}")
    for run in found:
        if run.problem:
            print_error(f"warning: {run.problem}")
    return 0


def _as_table(found: Sequence[Past]) -> None:
    """The oldest first, so that the newest stands next to the prompt."""
    keys = differing(found)
    top = Path(os.path.commonpath([run.run.path.parent for run in found]))
    metrics = list(dict.fromkeys(str(run.best["metric"]) for run in found if run.best))
    started = [_when(run.started) for run in found]
    years = {when[:4] for when in started if when}
    rows = []
    for run, when in zip(found, started, strict=True):
        best = ""
        if run.best:
            best = significant(run.best["value"])
            best += f" {run.best['metric']}" if len(metrics) > 1 else ""
        said = [f"{key}={run.value(key)}" for key in keys if run.value(key)]
        said += [f"tags=[{','.join(run.tags)}]"] if run.tags else []
        said += [f"notes={run.notes}"] if run.notes else []
        own = str(run.run.path.relative_to(top))
        usual = run.name in own or run.name == default_name(run.choices)
        said.insert(0, own if usual else f"{own} name={run.name}")
        rows.append([when[5:] if len(years) == 1 else when, run.state, best, " ".join(said)])
    best_of = f"best {metrics[0]}" if len(metrics) == 1 else "best"
    print_table("", ["begun", "state", "best", "run"], rows)
    of = f"; {best_of}" if len(metrics) == 1 else ""
    print_lines(f"\n{len(found)} run{'s' * (len(found) > 1)} in {shell_word(shown(top))}{of}")


def _when(started: str) -> str:
    """A time as a clock here shows it, to the minute; empty for what is no time."""
    try:
        return datetime.fromisoformat(started).astimezone().strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError, OSError):
        return ""
