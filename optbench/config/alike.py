"""Which runs have models of one shape, which are stepped in one way for as long: by their configs.

Such runs can be trained at once, as one computation.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from optbench.config.run_config import RunConfig

OF_EACH = (
    "name",
    "tags",
    "notes",
    "target",
    "seed",
    "base_batch_size",
    "scale_lr",
    "weights",
    "ema",
    "clip",
    "eval",
    "monitor",
    "early_stopping",
    "doctor",
    "sweep",
    "resume",
    "checkpoint",
    "schedule",
    "momentum_schedule",
    "beta2_schedule",
    "weight_decay_schedule",
)
"""What each run may have of its own."""

SHAPING = ("layer_decay",)
"""Numbers of an optimizer that decide which parameters are in which group."""

ABSENT = ("momentum",)
"""Numbers of an optimizer that are 0 where it keeps no such state."""


def shape_of(plain: Mapping[str, Any]) -> str:
    """Return a text that is the same for runs that may be trained at once.

    Args:
        plain: a resolved config.

    Example:
        >>> shape_of({"seed": 1, "batch_size": 8}) == shape_of({"seed": 2, "batch_size": 8})
        True
    """
    shared = {key: value for key, value in plain.items() if key not in OF_EACH}
    if isinstance(shared.get("optimizer"), Mapping):
        shared["optimizer"] = {k: _kind(k, v) for k, v in shared["optimizer"].items()}
    if isinstance(shared.get("dataset"), Mapping):
        shared["dataset"] = {k: v for k, v in shared["dataset"].items() if k != "split_seed"}
    return json.dumps(shared, sort_keys=True, default=str)


def _kind(key: str, value: Any) -> Any:
    """Return a setting of an optimizer as far as members have to agree on it."""
    if key in SHAPING:
        return value
    if _is_number(value):
        return "none" if key in ABSENT and value == 0 else "number"
    if isinstance(value, list) and value and all(map(_is_number, value)):
        return ["number"] * len(value)
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def differing(first: Mapping[str, Any], second: Mapping[str, Any]) -> str | None:
    """Return a key, such as `model.hidden`, that keeps two runs from being trained at once."""
    one, other = json.loads(shape_of(first)), json.loads(shape_of(second))
    for key in sorted({*one, *other}):
        if one.get(key) == other.get(key):
            continue
        inner = one.get(key), other.get(key)
        if all(isinstance(each, Mapping) for each in inner):
            for name in sorted({*inner[0], *inner[1]}):
                if inner[0].get(name) != inner[1].get(name):
                    return f"{key}.{name}"
        return str(key)
    return None


def why_alone(config: RunConfig) -> str | None:
    """Return the setting that keeps a run from being trained with others, None if there is none."""
    said = {
        "precision": config.precision.autocast is not None and config.precision.name,
        "compile": config.compile and "true",
        "cuda_graph": config.cuda_graph is True and "true",
        "accumulate": config.accumulate > 1 and config.accumulate,
        "nonfinite": config.nonfinite != "stop" and config.nonfinite,
        "monitor.flops": config.monitor.flops and "true",
        "probe.every": config.probe.every.value and config.probe.every.value,
        "activation_checkpointing": config.activation_checkpointing and "true",
        "channels_last": config.channels_last and "true",
        "wrapper": bool(config.wrapper.get("_target_")) and config.wrapper.get("_target_"),
        "optimizer.decay": config.optimizer.get("decay", "own") != "own"
        and config.optimizer.get("decay"),
        "player": len(config.player) > 1 and "several",
    }
    found = next(((key, value) for key, value in said.items() if value), None)
    return None if found is None else f"{found[0]}={found[1]}"
