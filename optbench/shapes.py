"""What the small files of a run folder have to look like: others may have written them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

STATES = ("running", "finished", "stopped_early", "diverged", "preempted", "failed")
KILLED = "killed"
"""What a run is called whose status says that it is running, though no process is at it."""

COSTS = ("examples", "passes", "training_seconds", "optimizer_seconds", "state_bytes")
"""In a summary, what the run took; a number each, None where nobody knows."""


def status(values: Any) -> dict[str, Any]:
    """Return what is read of `status.json`; raise ValueError for what is none."""
    _need(isinstance(values, dict) and values.get("state") in STATES, "no state of a run")
    _need(_whole(values.get("step")), "no step")
    _need(_whole(values.get("checkpoint", 0)), "its checkpoint is no step")
    _need(isinstance(values.get("message", ""), str), "its message is no text")
    return dict(values)


def summary(values: Any) -> dict[str, Any]:
    """Return what is read of `summary.json`; raise ValueError for what is none."""
    _need(isinstance(values, dict) and values.get("state") in STATES, "no state of a run")
    _need(_whole(values.get("step")), "no step")
    _need(_all(values.get("final"), _number), "its final values are no numbers")
    _need(_all(values.get("samples", {}), _text), "its samples are no texts")
    _need(_text(values.get("scored_weights") or ""), "its scored weights have no name")
    for name in ("best", "target"):
        part = values.get(name)
        _need(isinstance(part, dict), f"its {name} is no group of values")
        if part:
            named = _text(part.get("metric")) and _text(part.get("mode"))
            _need(named and _number(part.get("value")), f"its {name} has no metric, mode and value")
            steps = _whole(part.get("step")) or (name == "target" and part.get("step") is None)
            also = (part.get(key) for key in ("seconds", "examples", "passes"))
            _need(steps and all(map(_number_or_none, also)), f"its {name} has no step")
    for key in COSTS:
        _need(_number_or_none(values.get(key)), f"its {key} is no number")
    return dict(values)


def overrides(values: Any) -> dict[str, Any]:
    """Return what is read of `overrides.yaml`; raise ValueError for what is none."""
    _need(isinstance(values, dict), "no group of values")
    lines, choices = values.get("overrides"), values.get("choices")
    _need(isinstance(lines, list) and all(map(_text, lines)), "its overrides are no list of texts")
    _need(_all(choices, _text), "its choices are no names")
    return {"overrides": list(lines), "choices": dict(choices)}


def _need(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ValueError(otherwise)


def _all(values: Any, holds: Callable[[Any], bool]) -> bool:
    return isinstance(values, Mapping) and all(_text(k) and holds(v) for k, v in values.items())


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return isinstance(value, float) or abs(value) < 2**63


def _number_or_none(value: Any) -> bool:
    return value is None or _number(value)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63
