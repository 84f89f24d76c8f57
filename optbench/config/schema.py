"""The resolved config as typed, frozen data; what needs more than one key is checked here."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from optbench.config.lengths import Length
from optbench.config.schedules import schedules_of
from optbench.config.suggest import did_you_mean
from optbench.errors import UserError

DEFAULT_EPOCHS = 20
"""How long a run is when neither `epochs` nor `steps` is given."""


@dataclass(frozen=True)
class Precision:
    """How numbers are represented: `autocast` dtype or None, gradient scaler, fp32 matmuls."""

    name: str
    autocast: str | None
    scaler: bool
    matmul: str


@dataclass(frozen=True)
class Clip:
    """Gradient clipping by norm, in all or by group, by value, adaptively; None is off."""

    norm: float | None
    value: float | None
    adaptive: float | None
    per_group: bool


@dataclass(frozen=True)
class Eval:
    """How often the validation set is scored, and in batches of how many examples."""

    every: Length
    batch_size: int


@dataclass(frozen=True)
class Monitor:
    """How often the run is measured, and what is written."""

    every: Length
    histograms: Length
    per_parameter: bool
    tensorboard: bool


@dataclass(frozen=True)
class Checkpoint:
    """When checkpoints are written and which are kept; `best` is a metric, `auto` or None."""

    every: Length
    final: bool
    keep_last: int
    best: str | None
    best_mode: str
    async_write: bool


@dataclass(frozen=True)
class EarlyStopping:
    """Stop after `patience` evaluations without improvement by `min_delta`; patience 0 is off."""

    patience: int
    metric: str
    mode: str
    min_delta: float


@dataclass(frozen=True)
class Sweep:
    """What a multirun does when one of its runs fails."""

    fail_fast: bool


@dataclass(frozen=True)
class Target:
    """When a run is good enough: a metric's value, and who says so; metric None is never."""

    metric: str | None
    value: float | None
    mode: str
    source: str | None


@dataclass(frozen=True)
class PlayerConfig:
    """What a player has of its own; `at` is its key, `player.generator.`, empty for one alone.

    Attributes:
        optimizer, schedule: nodes.
        update_every: it is updated at every so-manieth step.
    """

    optimizer: dict[str, Any]
    schedule: dict[str, Any]
    update_every: int = 1
    at: str = ""


@dataclass(frozen=True)
class RunConfig:
    """One run, resolved. Components (`model`, `optimizer`, ...) are plain nodes with `_target_`."""

    model: dict[str, Any]
    dataset: dict[str, Any]
    optimizer: dict[str, Any]
    wrapper: dict[str, Any]
    schedule: dict[str, Any]
    precision: Precision
    checkpoint: Checkpoint
    task: dict[str, Any]
    player: dict[str, dict[str, Any]]
    target: Target
    name: str
    seed: int
    epochs: int | None
    steps: int | None
    batch_size: int | str
    accumulate: int
    scale_lr: str
    base_batch_size: int
    label_smoothing: float
    ema: float
    device: str
    threads: int | None
    deterministic: bool
    compile: bool
    channels_last: bool
    activation_checkpointing: bool
    nonfinite: str
    clip: Clip
    eval: Eval
    monitor: Monitor
    early_stopping: EarlyStopping
    sweep: Sweep
    data_root: str
    resume: str | None = None
    shuffle: str = "epoch"  # runs made before there was a choice have none
    momentum_schedule: dict[str, Any] | None = None
    beta2_schedule: dict[str, Any] | None = None
    weight_decay_schedule: dict[str, Any] | None = None

    @property
    def players(self) -> dict[str, PlayerConfig]:
        """The players by name, in the order of their turns; an ordinary run has one, `model`."""
        if not self.player:
            return {"model": PlayerConfig(self.optimizer, self.schedule)}
        return {
            name: PlayerConfig(
                node["optimizer"], node["schedule"], node["update_every"], f"player.{name}."
            )
            for name, node in self.player.items()
        }

    def with_player(
        self, name: str, optimizer: dict[str, Any], schedule: dict[str, Any]
    ) -> RunConfig:
        """The same with another optimizer and schedule of a player."""
        if not self.player:
            return dataclasses.replace(self, optimizer=optimizer, schedule=schedule)
        new = {**self.player[name], "optimizer": optimizer, "schedule": schedule}
        players = {**self.player, name: new}
        return dataclasses.replace(self, player=players)

    @property
    def schedules(self) -> list[tuple[str, Mapping[str, Any]]]:
        """Key and node of every schedule of learning rates."""
        return [
            found
            for p in self.players.values()
            for found in schedules_of(p.schedule, p.optimizer["groups"], p.at)
        ]


_NESTED: dict[str, type] = {
    "precision": Precision,
    "checkpoint": Checkpoint,
    "clip": Clip,
    "eval": Eval,
    "monitor": Monitor,
    "early_stopping": EarlyStopping,
    "sweep": Sweep,
    "target": Target,
}


def from_plain(values: Mapping[str, Any]) -> RunConfig:
    """The typed config of conformed plain data.

    Raises:
        UserError: fields that contradict each other.
    """
    given = dict(values)
    _refuse_other_keys(RunConfig, given)
    for key, cls in _NESTED.items():
        given[key] = _nested(cls, given[key], key)
    config = RunConfig(**given)
    _contradictions(config)
    return config


def _refuse_other_keys(cls: type, values: Mapping[str, Any], at: str = "") -> None:
    """UserError for a key that is unknown, or missing and without a default: an older run's."""
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
    if config.dataset["val_fraction"] == 0:
        _needs_validation(config)


def _needs_validation(config: RunConfig) -> None:
    wanting = {
        "early_stopping.metric": config.early_stopping.patience > 0
        and config.early_stopping.metric,
        "checkpoint.best": config.checkpoint.best,
    }
    for at, node in config.schedules:
        wanting[f"{at}.metric"] = node.get("metric")
    for key, metric in wanting.items():
        if isinstance(metric, str) and metric.startswith("val/"):
            raise UserError(
                f"{key}={metric}: needs a validation set, but dataset.val_fraction=0; "
                "give it a fraction such as 0.1"
            )
