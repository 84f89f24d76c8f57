"""What a study came to: the best trial as a recipe and a command, and what to make of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from optbench.config.flow import flow
from optbench.escape import shell_word
from optbench.files import dump_yaml, write_atomically
from optbench.monitor.numerals import significant
from optbench.tuning.recipe import headed
from optbench.tuning.study import Study, Tried

RECIPE = "tuned"
"""The recipe's name, in the study's folder as one of the user's own config files."""


def rows_of(study: Study, most: int = 5) -> tuple[list[str], list[list[str]]]:
    """Return the header and the rows of a table of the best trials."""
    metric, several = study.plan.metric, len(study.plan.runs) > 1
    keys, more = list(study.space.keys), bool(study.space.chosen)
    sign = 1 if study.plan.mode == "min" else -1
    ended = [t for t in study.tried() if t.state == "complete"]
    ranked = sorted(ended, key=lambda t: (not math.isfinite(t.value), sign * t.value))
    settings = ["settings"] if more else []
    header = ["trial", *keys, *settings, metric, *(["over its runs"] if several else [])]
    rows = []
    for tried in ranked[:most]:
        values = [_said(tried.values[key]) for key in keys]
        own = [key for key in tried.values if key not in keys]
        values += [" ".join(f"{key}={_said(tried.values[key])}" for key in own)] if more else []
        score = significant(tried.value) if math.isfinite(tried.value) else "none"
        rows.append([str(tried.place), *values, score, *([_spread(tried)] if several else [])])
    return header, rows


def _spread(tried: Tried) -> str:
    """Return the range of the scores of a trial's runs."""
    low, high = min(tried.scores), max(tried.scores)
    return f"{significant(low)} to {significant(high)}"


def _said(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def command(study: Study, lines: Sequence[str]) -> str:
    """Return the command that trains with the best trial's values, the test set scored too.

    Args:
        study: with its plan.
        lines: the overrides that give these values to a run.
    """
    found = {line.lstrip("+").partition("=")[0] for line in lines}
    pairs = [(line, line.lstrip("+").partition("=")[0]) for line in study.plan.overrides]
    kept = [line for line, key in pairs if key not in found and not key.startswith("sweep.")]
    words = [*kept, *lines]
    if study.plan.config_dir is not None:
        words += ["--config-dir", study.plan.config_dir]
    return " ".join(["optbench train", *map(shell_word, words)])


def write_recipe(study: Study, best: Tried, recipe: Mapping[str, Any]) -> Path:
    """Write the best trial as a recipe; return its file.

    `optbench train recipe=tuned --config-dir STUDY` trains with it, on the same model and data
    where these are said too.
    """
    said = f"The best of {len(study.tried())}: {study.plan.metric} {significant(best.value)}"
    path = study.folder / "recipe" / f"{RECIPE}.yaml"
    path.parent.mkdir(exist_ok=True)
    write_atomically(path, f"# @package _global_\n{dump_yaml(headed(recipe, said))}", sync=True)
    return path


def warnings_of(study: Study, best: Tried) -> list[str]:
    """Return a line for each key whose best lies at an end of its range, and the wider space."""
    found = []
    same = sum(t.value == best.value for t in study.tried() if t.state == "complete")
    if same > 1:
        found.append(f"{same} trials share the best score: which of them is better is not known")
    edges = len(found)
    choices = study.space.choices(best.values)
    given = study.space.given(choices)
    wider = {key: each for key, each in given.keys.items() if key not in choices}
    for key, each in list(wider.items()):
        side = each.at_edge(best.values[key])
        if side is None:
            continue
        wider[key] = each.wider(side)
        found.append(
            f"{key}: the best, {_said(best.values[key])}, is at an end of its range; "
            "the optimum may be beyond"
        )
    if len(found) > edges:
        searched = flow(replace(given, keys=wider).as_plain()["search"])
        words = [*(f"{group}={name}" for group, name in choices.items()), f"search={searched}"]
        found += [
            "a wider space, which takes the place of space=:",
            f"  {' '.join(map(shell_word, words))}",
        ]
    return found


def importances(study: Study) -> list[str]:
    """Return how much of what differs among good and other trials each key explains, in words."""
    found = study.importances()
    return [f"{key} {share:.0%}" for key, share in found.items()]
