"""The verb `list`: what can be chosen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from optbench.cli.log import print_table
from optbench.cli.paths import configs_folder
from optbench.config.suggest import did_you_mean
from optbench.errors import UserError


def groups() -> list[str]:
    """The groups that have choices."""
    return sorted(path.name for path in configs_folder().iterdir() if path.is_dir())


def choices(group: str) -> list[tuple[str, str]]:
    """Name and description (the file's first comment line) of each choice."""
    files = sorted((configs_folder() / group).glob("*.yaml"))
    return [(path.stem, description(path)) for path in files if not path.stem.startswith("_")]


def description(path: Path) -> str:
    """The first comment of a config file that is not a directive to Hydra."""
    for line in path.read_text().splitlines():
        if line.startswith("#") and "@package" not in line:
            return line.lstrip("# ").strip()
    return ""


def listing(arguments: Sequence[str]) -> int:
    """`optbench list`: all groups; `optbench list GROUP`: its choices, one line each."""
    if not arguments:
        rows = [[g, " ".join(name for name, _ in choices(g))] for g in groups()]
        print_table("", ["group", "choices"], rows)
        return 0
    for word in arguments:
        known = groups()
        group = word if word in known else word.removesuffix("s")
        if group not in known:
            raise UserError(f"list {word}: no such group; {did_you_mean(word, known)}")
        if group == "optimizer":
            from optbench.cli.optimizers import optimizers, print_optimizers

            print_optimizers(optimizers(configs_folder() / group))
        else:
            print_table("", [group, "what it is"], [list(choice) for choice in choices(group)])
    return 0
