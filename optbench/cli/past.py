"""The verb `runs`: past runs side by side."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from optbench.cli.flags import no_such_flag
from optbench.compose.workloads import default_name
from optbench.console import (
    add_what_fits,
    print_error,
    print_lines,
    print_table,
    print_text,
    shown,
    table_room,
)
from optbench.errors import UserError
from optbench.escape import shell_word
from optbench.layout import text_width
from optbench.monitor.numerals import significant
from optbench.runs.filters import filter_of, meant
from optbench.runs.find import find_runs, of_no_run, without_runs
from optbench.runs.past import Past, as_csv, as_json, telling_first

FLAGS = ("--csv", "--json", "--help")
LONGEST = 24
"""Characters of a value in the table."""
NAMED = 3
"""So many of the columns that are left out are named."""


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
        if not os.path.lexists(path) and (hint := meant(path)):
            raise UserError(f"{path}: no such folder; {hint}")
    below = find_runs(*paths)
    every = [Past.of(run) for run in below]
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
        print_text(f"no runs below {where}{like or of_no_run(paths)}")
    nothing = without_runs(paths, below) if below else []
    for line in [*nothing, *(run.problem for run in found if run.problem)]:
        print_error(f"warning: {line}")
    return 0


def _as_table(found: Sequence[Past]) -> None:
    """Print a line each, the oldest first, so that the newest stands next to the prompt."""
    top = Path(os.path.commonpath([run.run.path.parent for run in found]))
    metrics = list(dict.fromkeys(str(run.best["metric"]) for run in found if run.best))
    started = [_when(run.started) for run in found]
    one_year = len({when[:4] for when in started if when}) == 1
    own = [str(run.run.path.relative_to(top)) for run in found]
    table = {
        "begun": [when[5:] if one_year else when for when in started],
        "state": [run.state for run in found],
        "best": [significant(run.best["value"]) if run.best else "" for run in found],
        "run": own,
    }
    widest = sum(max(map(text_width, [name, *values])) for name, values in table.items())
    if widest > table_room(len(table)):  # long paths: a day is enough, so that each has one line
        table["begun"] = [when.partition(" ")[0] for when in table["begun"]]
        if widest - len(" 00:00") > table_room(len(table)):
            del table["begun"]
    more: dict[str, list[str]] = {}
    if len(metrics) > 1:
        more["best of"] = [str(run.best["metric"]) if run.best else "" for run in found]
    more["name"] = [_unusual(run, path) for run, path in zip(found, own, strict=True)]
    more["tags"] = [",".join(run.tags) for run in found]
    more |= {key: [run.value(key) for run in found] for key in telling_first(found)}
    more["notes"] = [run.notes for run in found]
    left = add_what_fits(table, more, LONGEST)
    print_table("", list(table), [list(row) for row in zip(*table.values(), strict=True)])
    of = f"; best {metrics[0]}" if len(metrics) == 1 else ""
    print_text(f"\n{len(found)} run{'s' * (len(found) > 1)} in {shell_word(shown(top))}{of}")
    if left:
        others = f" and {len(left) - NAMED} more" if len(left) > NAMED else ""
        differ = "differs" if len(left) == 1 else "differ"
        names = ["the metric of best" if name == "best of" else name for name in left[:NAMED]]
        print_text(f"{', '.join(names)}{others} {differ}, too: --csv has all of it")


def _unusual(run: Past, path: str) -> str:
    """Return the name of a run that neither its folder nor its choices tell."""
    return "" if run.name in path or run.name == default_name(run.choices) else run.name


def _when(started: str) -> str:
    """Return a time as a clock here shows it, to the minute; empty for what is no time."""
    try:
        return datetime.fromisoformat(started).astimezone().strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError, OSError):
        return ""
