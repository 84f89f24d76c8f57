"""Metrics that a config names: whether there are such, and which way is better."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from optbench.config.better import mode_by_name
from optbench.config.declared import SETTINGS
from optbench.config.run_config import RunConfig
from optbench.config.schema import schedules_in
from optbench.config.suggest import did_you_mean
from optbench.errors import UserError
from optbench.tasks.base import Task

MEASURED = ("train/loss", "grad_norm/total", "update_ratio/total", "param_norm/total")
"""What the training itself gives a schedule to react to, besides each parameter's norms."""


def check_metrics(config: RunConfig, task: Task, parameters: Sequence[str]) -> None:
    """Refuse metrics that nothing in this run will ever measure.

    Args:
        parameters: names, each of which has norms of its own.

    Raises:
        UserError: no such metric, or it is not measured.
    """
    scores = [f"val/{name}" for name in task.metrics]
    best = config.checkpoint.best
    if best not in (None, "auto"):
        _check("checkpoint.best", str(best), scores)
    stopping = config.early_stopping
    if stopping.patience or stopping.metric != SETTINGS["early_stopping.metric"].default:
        _check("early_stopping.metric", stopping.metric, scores)
        if stopping.patience and not config.eval.every.value:
            raise UserError("eval.every=0: early_stopping.patience needs evaluations")
    if config.target.metric is not None:
        tests = [f"test/{name}" for name in task.metrics]
        _check("target.metric", config.target.metric, [*scores, *tests])
    each = ("grad_norm", "update_ratio", "param_norm") if config.monitor.per_parameter else ()
    norms = [f"{kind}/{name}" for kind in each for name in parameters]
    for at, node in schedules_in(config):
        if node.get("metric") is not None:
            _check_watched(config, f"{at}.metric", node["metric"], [*scores, *MEASURED, *norms])


def _check_watched(config: RunConfig, key: str, watched: str, known: list[str]) -> None:
    _check(key, watched, known)
    if watched.startswith("val/") and not config.eval.every.value:
        raise UserError(f"eval.every=0: {key}={watched} needs evaluations")
    if not watched.startswith("val/") and not config.monitor.every.value:
        raise UserError(f"monitor.every=0: {key}={watched} needs measurements")


def _check(key: str, metric: str, known: list[str]) -> None:
    if metric not in known:
        kind, _, name = metric.partition("/")
        if kind in ("train", "test") and f"val/{name}" in known:
            sets = "validation set" + (" or test set" if "test/loss" in known else "")
            hint = f"only scores of the {sets} are taken here; did you mean {key}=val/{name}?"
            raise UserError(f"{key}={metric}: {hint}")
        nearest = did_you_mean(metric, known[:8] if len(known) > 20 else known)
        raise UserError(f"{key}={metric}: no such metric; {nearest}")


def mode_of(asked: str, metric: str, task: Task) -> str:
    """Return `min` or `max`: what was asked for, or with `auto` what the metric's name says."""
    if asked != "auto":
        return asked
    if metric == task.metric:
        return task.mode
    return mode_by_name(metric)


def with_modes(node: Mapping[str, Any], task: Task) -> dict[str, Any]:
    """Return a schedule's node, and those of its parts, with `mode: auto` decided."""
    decided = dict(node)
    if node.get("metric") is not None and node.get("mode") == "auto":
        decided["mode"] = mode_of("auto", node["metric"], task)
    if "parts" in node:
        decided["parts"] = [with_modes(part, task) for part in node["parts"]]
    return decided
