"""The best trial as a recipe: all that it says of how to train, of no model and no data set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optbench.compose.composer import Composer
from optbench.compose.workloads import differences
from optbench.config.run_spec import RunSpec

CHOSEN = ("optimizer", "wrapper", "schedule", "precision")
"""Groups of which a recipe says the choice."""
OTHERS = (
    "model",
    "dataset",
    "task",
    "name",
    "tags",
    "notes",
    "target",
    "seed",
    "resume",
    "weights",
    "data_root",
    "device",
    "threads",
    "eval",
    "monitor",
    "probe",
    "checkpoint",
    "sweep",
)
"""Keys that are no part of how something is trained, or of one run alone."""


def recipe_of(composer: Composer, best: RunSpec) -> dict[str, Any]:
    """Return what a recipe says of a run: choices, and each key that differs from theirs.

    Args:
        composer: of the run.
        best: the run.
    """
    chosen = [f"{group}={best.choices[group]}" for group in CHOSEN]
    named = _named(best.plain["optimizer"])
    lines = [*chosen, *(f"{key}={value}" for key, value in named.items())]
    known = composer.spec(composer.compose(lines), lines)
    body: dict[str, Any] = {}
    for key, value in named.items():
        _put(body, key, value)
    for key, (_, value) in differences(known.plain, best.plain).items():
        if key.partition(".")[0] not in OTHERS:
            _put(body, key, value)
    defaults = [{f"override /{group}": best.choices[group]} for group in CHOSEN]
    return {"defaults": defaults, **body}


def _named(optimizer: Mapping[str, Any]) -> dict[str, str]:
    """Return the key by which a node names its optimizer, and the name; `zoo` and `custom` have
    one, without which they are none."""
    if "arguments" not in optimizer:
        return {}
    key = "name" if "name" in optimizer else "_target_"
    return {f"optimizer.{key}": str(optimizer[key])}


def _put(body: dict[str, Any], key: str, value: object) -> None:
    *above, last = key.split(".")
    for part in above:
        body = body.setdefault(part, {})
    body[last] = value


def headed(recipe: Mapping[str, Any], description: str) -> dict[str, Any]:
    """Return a recipe with what it says of itself."""
    return {"_about_": {"description": description}, **recipe}
