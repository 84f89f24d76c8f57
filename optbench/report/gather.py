"""All that a page shows, as plain data: of run folders alone."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from optbench.comparison.record import Record
from optbench.report.configs import differences
from optbench.report.curves import (
    Curves,
    bands,
    metrics_of,
    number_of,
    points_each,
    read_curves,
    rounded,
    single,
)
from optbench.report.leaderboard import arrivals, leaderboard, together
from optbench.report.names import Names
from optbench.report.searches import heat, rate_of, rates
from optbench.report.trials import best_of, trials_among
from optbench.report.workloads import Found, Part, workloads_below
from optbench.version import __version__

LONGEST_TEXT = 2000
"""Of a message or note that is shown."""
SCORE_DIGITS = 6


def gather(
    *folders: str | os.PathLike[str],
    metric: str | None = None,
    mode: str | None = None,
    baseline: str | None = None,
) -> dict[str, Any]:
    """Return what a page shows of the runs below some folders.

    Returns:
        `page`: what is shown at once; `bands`, `singles`: by workload, what is drawn when it is
        asked for; `configs`: the settings of all runs. Plain data for strict JSON.

    Raises:
        UserError: no run is there.
    """
    found = workloads_below(*folders, metric=metric, mode=mode, baseline=baseline)
    every = [record for part in found.parts for record in part.every]
    ids = _ids([record.path for record in every])
    unread: list[str] = []
    runs: list[dict[str, Any]] = []
    shown, drawn, singles = [], [], []
    for place, part in enumerate(found.parts):
        curves = [read_curves(record.past.run) for record in part.every]
        unread += [each.unread for each in curves if each.unread]
        metrics = metrics_of(curves)
        points = points_each(len(every), len(metrics))
        singles.append([single(each, metrics, points) for each in curves])
        drawn.append(_bands(part, curves, metrics))
        shown.append({**_workload(part, found), "metrics": metrics, "axes": _axes(curves)})
        runs += _runs(part, place, curves, ids, found.names)
    return {
        "page": {
            "version": __version__,
            "folders": [str(folder) for folder in folders] or ["runs"],
            "workloads": shown,
            "runs": runs,
            "across": together(found.across),
            "warnings": [*found.warnings, *unread],
        },
        "bands": drawn,
        "singles": singles,
        "configs": differences(every),
    }


def _workload(part: Part, found: Found) -> dict[str, Any]:
    """Return what is told of a workload: leaderboard, searches, sentences, warnings."""
    workload = part.compared
    said: dict[str, Any] = {
        "name": part.name,
        "runs": len(part.every),
        "refused": part.refused,
        "warnings": [],
        "arms": [],
    }
    if workload is None:
        return said
    compared = workload.compared
    arms = leaderboard(workload, found.names)
    tag, mode, points = compared.metric, compared.mode, compared.unit.scale > 1
    best = best_of(part.every, tag, mode, found.names, found.plans)
    return said | {
        "metric": tag,
        "mode": mode,
        "scale": compared.unit.scale,
        "best": compared.best,
        "baseline": compared.comparison.chosen_before,
        "sentences": list(compared.sentences),
        "warnings": workload.warnings,
        "arms": arms,
        "target": None if workload.target is None else str(workload.target),
        "arrivals": arrivals(workload),
        "lr": rates(part.counted, tag, mode, points, found.names),
        "trials": best.lines,
        "trials_left": best.left,
        "heat": heat(arms, mode),
    }


def _axes(every: Sequence[Curves]) -> list[str]:
    return list(dict.fromkeys(["step", *(axis for each in every for axis in each.axes)]))


def _bands(
    part: Part, curves: Sequence[Curves], metrics: Sequence[str]
) -> list[list[dict[str, Any]]]:
    """Return the bands of each arm, in the order of the leaderboard."""
    if part.compared is None:
        return []
    of = {record.path: each for record, each in zip(part.every, curves, strict=True)}
    return [
        bands([of[path] for path in arm.runs.values()], metrics)
        for arm in part.compared.compared.arms
    ]


def _runs(
    part: Part, place: int, curves: Sequence[Curves], ids: Mapping[Path, str], names: Names
) -> list[dict[str, Any]]:
    """Return a row a run: `w` is the place of its workload, `i` its own there, `a` its arm's."""
    compared = None if part.compared is None else part.compared.compared
    arms = () if compared is None else compared.arms
    arm_of = {path: i for i, arm in enumerate(arms) for path in arm.runs.values()}
    defaults = part.compared.defaults if part.compared is not None else None
    at_defaults = {p for arm in defaults.arms for p in arm.runs.values()} if defaults else set()
    tag = None if compared is None else compared.metric
    trials = trials_among(part.every)
    return [
        _run(record, each, ids[record.path], tag)
        | {
            "optimizer": names.optimizer(record),
            "w": place,
            "i": number,
            "a": arm_of.get(record.path, -1),
            "defaults": record.path in at_defaults,
            "trial": record.path in trials,
        }
        for number, (record, each) in enumerate(zip(part.every, curves, strict=True))
    ]


def _run(record: Record, curves: Curves, name: str, tag: str | None) -> dict[str, Any]:
    past = record.past
    step = past.status.get("step")
    seed = past.config.get("seed")
    score = None if tag is None else record.final.get(tag)
    reached = past.summary.get("target", {}).get("step")
    return {
        "id": name,
        "path": str(record.path),
        "name": past.name,
        "tags": past.tags,
        "notes": past.notes[:LONGEST_TEXT],
        "state": past.state,
        "message": str(past.status.get("message", ""))[:LONGEST_TEXT],
        "problem": record.problem,
        "seed": seed if isinstance(seed, int) else None,
        "fold": record.unit[1] if isinstance(seed, int) else "",
        "score": rounded(score, SCORE_DIGITS),
        "step": step if isinstance(step, int) else None,
        "reached": reached,
        "started": past.started,
        "seconds": rounded(number_of(past.summary.get("training_seconds"))),
        "lr": rate_of(record),
        "schedule": past.choices.get("schedule", ""),
        "ratio": rounded(curves.ratio),
        "command": _command(record),
        "begun": _begun(record),
    }


def _command(record: Record) -> str:
    """Return the command that trains the same again, as it was typed for this run."""
    said = record.past.run.overrides
    return f"optbench train {shlex.join(said)}".strip()[:LONGEST_TEXT] if said else ""


def _begun(record: Record) -> str:
    """Return the command that began it, a sweep perhaps; empty where it is not known."""
    command = record.environment.get("command")
    if not isinstance(command, list) or not all(isinstance(word, str) for word in command):
        return ""
    return f"optbench {shlex.join(command[1:])}"[:LONGEST_TEXT]


def _ids(paths: Sequence[Path]) -> dict[Path, str]:
    """Return what links name a run by: its path below the folder that holds all."""
    if not paths:
        return {}
    top = Path(os.path.commonpath([path.parent for path in paths]))
    return {path: path.relative_to(top).as_posix() for path in paths}
