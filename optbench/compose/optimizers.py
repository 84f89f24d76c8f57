"""What `optbench list optimizers` says of ours and torch's, then of the zoo's. No torch."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from optbench.compose.paths import top_lines
from optbench.config.about import About, about
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
_SETTING = re.compile(r"(?P<key>[a-z]\w*):\s+(?P<value>[^#]*[^#\s])")


def optimizers(files: Iterable[Path]) -> list[list[str]]:
    """Rows as `HEADER` names their cells, from YAMLs and from the zoo's table."""
    rows = []
    for path in files:
        lines = top_lines(path)
        rows.append(_row(path.stem, about(lines), defaults(lines)))
    for name, entry in zoo().items():
        settings = " ".join(f"{k}={v}" for k, v in entry.arguments.items())
        rows.append(_row(f"zoo {name}", entry.about, settings))
    return rows


def defaults(lines: list[str]) -> str:
    """A YAML's settings on one line; those of a companion are left out."""
    found = [match for line in lines if (match := _SETTING.match(line))]
    return " ".join(f"{m['key']}={m['value'].replace(', ', ',')}" for m in found)


def _row(name: str, said: About, settings: str) -> list[str]:
    return [
        name,
        said.family,
        said.state,
        said.implementations,
        said.good_for,
        settings,
        said.description,
        said.paper,
    ]
