"""The resolved config as typed, frozen data; what needs more than one key is checked here."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from optbench.config.declared import SETTINGS
from optbench.config.flow import flow
from optbench.config.lengths import Length
from optbench.config.run_config import NESTED, RunConfig
from optbench.config.schedules import schedules_of
from optbench.config.stages import stages_of
from optbench.config.suggest import did_you_mean
from optbench.errors import UserError

DEFAULT_EPOCHS = 20
"""How long a run is when neither `epochs` nor `steps` is given."""


def schedules_in(config: RunConfig) -> list[tuple[str, Mapping[str, Any]]]:
    """Return key and node of all that may react to a metric: schedules of learning rates, of the
    run, its parts, groups and stages, and what ends a stage."""
    found: list[tuple[str, Mapping[str, Any]]] = []
    for player in config.players.values():
        found += schedules_of(player.schedule, player.optimizer["groups"], player.at)
        for at, stage in stages_of(player.optimizer, f"{player.at}optimizer"):
            if stage["schedule"] is not None:
                found += [
                    (f"{at}.{key}", node) for key, node in schedules_of(stage["schedule"], [])
                ]
            if isinstance(stage["until"], Mapping):
                found.append((f"{at}.until", stage["until"]))
    return found


def from_plain(values: Mapping[str, Any]) -> RunConfig:
    """Build the typed config from conformed plain data.

    Raises:
        UserError: fields that contradict each other.
    """
    given = dict(values)
    _refuse_other_keys(RunConfig, given)
    for key, cls in NESTED.items():
        if key in given:  # an older run may lack one that has a default
            given[key] = _nested(cls, given[key], key)
    config = RunConfig(**given)
    _contradictions(config)
    return config


def _refuse_other_keys(cls: type, values: Mapping[str, Any], at: str = "") -> None:
    """Raise UserError for a key that is unknown, or missing with no default: an older run's."""
    fields = {f.name: f for f in dataclasses.fields(cls)}
    for key in values:
        if key not in fields:
            raise UserError(f"{at}{key}={values[key]}: no such key; {did_you_mean(key, fields)}")
    for key, field in fields.items():
        if key not in values and field.default is dataclasses.MISSING:
            raise UserError(f"{at}{key}: is missing")


def _nested(cls: type, values: Mapping[str, Any], at: str) -> Any:
    _refuse_other_keys(cls, values, f"{at}.")
    lengths = {f.name for f in dataclasses.fields(cls) if f.type == "Length"}
    return cls(**{k: Length.parse(v) if k in lengths else v for k, v in values.items()})


def _contradictions(config: RunConfig) -> None:
    if config.epochs is not None and config.steps is not None:
        raise UserError(
            f"epochs={config.epochs} steps={config.steps}: a contradiction; give one of them"
        )
    if (config.target.metric is None) != (config.target.value is None):
        lacking = "metric" if config.target.metric is None else "value"
        raise UserError(f"target: has no {lacking}; give target.metric and target.value")
    if config.monitor.histograms.value and not config.monitor.tensorboard:
        raise UserError("monitor.histograms: they go to TensorBoard, but monitor.tensorboard=false")
    if config.monitor.flops and config.compile:
        raise UserError("monitor.flops=true: not with compile=true, whose kernels nobody counts")
    for key in ("at", "strict", "exclude") if config.weights.path is None else ():
        value = getattr(config.weights, key)
        if value != SETTINGS[f"weights.{key}"].default and value != ():
            raise UserError(
                f"weights.{key}={flow(value)}: of which weights? add weights=RUN or a file"
            )
    if config.dataset["val_fraction"] == 0 and config.dataset.get("fold") is None:
        _needs_validation(config)


def _needs_validation(config: RunConfig) -> None:
    wanting = {
        "early_stopping.metric": config.early_stopping.patience > 0
        and config.early_stopping.metric,
        "checkpoint.best": config.checkpoint.best,
    }
    for at, node in schedules_in(config):
        wanting[f"{at}.metric"] = node.get("metric")
    for key, metric in wanting.items():
        if isinstance(metric, str) and metric.startswith("val/"):
            raise UserError(
                f"{key}={metric}: needs a validation set, but dataset.val_fraction=0; "
                "give it a fraction such as 0.1"
            )
