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
    known = composer.spec(composer.compose(chosen), chosen)
    body: dict[str, Any] = {}
    for key, (_, value) in differences(known.plain, best.plain).items():
        if key.partition(".")[0] not in OTHERS:
            _put(body, key, value)
    defaults = [{f"override /{group}": best.choices[group]} for group in CHOSEN]
    return {"defaults": defaults, **body}


def _put(body: dict[str, Any], key: str, value: object) -> None:
    *above, last = key.split(".")
    for part in above:
        body = body.setdefault(part, {})
    body[last] = value


def headed(recipe: Mapping[str, Any], description: str) -> dict[str, Any]:
    """Return a recipe with what it says of itself."""
    return {"_about_": {"description": description}, **recipe}
