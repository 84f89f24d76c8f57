"""What `optbench list optimizers` says of ours and torch's, then of the zoo's. No torch."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from optbench.compose.paths import description_of, text_of
from optbench.config.about import About, about
from optbench.config.as_written import NO_YAML, settings
from optbench.config.zoo import zoo

WHAT = "what it is"
HEADER = [
    "optimizer",
    "family",
    "state",
    "implementations",
    "good for",
    "defaults",
    WHAT,
    "paper",
]


def optimizers(files: Iterable[Path]) -> list[list[str]]:
    """Return rows as `HEADER` names their cells, from YAMLs and from the zoo's table."""
    rows = []
    for path in files:
        rows.append(_row(path.stem, about(description_of(path)), defaults(text_of(path))))
    for name, entry in zoo().items():
        arguments = " ".join(f"{k}={v}" for k, v in entry.arguments.items())
        rows.append(_row(f"zoo {name}", entry.about, arguments))
    return rows


def defaults(text: str) -> str:
    """Return a YAML's settings on one line; those of a companion are left out."""
    try:
        own = [setting for setting in settings(text) if "." not in setting.key]
    except NO_YAML:  # whoever chooses it is told
        return ""
    return " ".join(f"{each.key}={each.value.replace(', ', ',')}" for each in own)


def _row(name: str, said: About, arguments: str) -> list[str]:
    return [
        name,
        said.family,
        said.state,
        said.implementations,
        said.good_for,
        arguments,
        said.description,
        said.paper,
    ]
