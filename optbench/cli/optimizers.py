"""What `optbench list optimizers` says: a line for each of ours and torch's, then the zoo's. No
torch."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any, cast

from optbench.compose.paths import top_lines
from optbench.config.about import About, about
from optbench.config.zoo import zoo
from optbench.console import OUT, print_table
from optbench.escape import escaped

HEADER = [
    *("optimizer", "family", "state", "implementations", "good for"),
    *("defaults", "what it is", "paper"),
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


def print_optimizers(rows: list[list[str]], console: Any = None) -> None:
    """The rows: in a terminal, whose width no table of them fits, a paragraph each."""
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    console = console or Console(file=cast(IO[str], OUT), highlight=False)
    if not console.is_terminal:
        print_table("", HEADER, rows)
        return
    for row in rows:
        said = dict(zip(HEADER, map(escaped, row), strict=True))
        console.print(Text.assemble((said["optimizer"], "bold"), "  ", said["what it is"]))
        state = f"{said['family']}; state {said['state']}; {said['implementations']}"
        more = [f"{key}: {said[key]}" for key in ("good for", "defaults", "paper") if said[key]]
        for line in (state, *more):
            console.print(Padding(Text(line), (0, 0, 0, 4)))


def defaults(lines: list[str]) -> str:
    """A YAML's settings on one line; those of a companion are left out."""
    found = [match for line in lines if (match := _SETTING.match(line))]
    return " ".join(f"{m['key']}={m['value'].replace(', ', ',')}" for m in found)


def _row(name: str, said: About, settings: str) -> list[str]:
    return [
        *(name, said.family, said.state, said.implementations, said.good_for),
        *(settings, said.description, said.paper),
    ]
