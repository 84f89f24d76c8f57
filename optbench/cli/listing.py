"""The verb `list`: what can be chosen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from optbench.compose.paths import config_files, configs_folder, top_lines
from optbench.config.suggest import did_you_mean
from optbench.console import print_table
from optbench.errors import UserError


def groups() -> list[str]:
    """The groups that have choices."""
    return sorted(path.name for path in configs_folder().iterdir() if path.is_dir())


def choices(group: str, config_dir: Path | None = None) -> list[tuple[str, str]]:
    """Name and description (the file's first comment line) of each choice, a user's own last."""
    return [(path.stem, description(path)) for path in files(group, config_dir)]


def files(group: str, config_dir: Path | None = None) -> list[Path]:
    """The files of a group; of two with a name, ours, as it is ours that Hydra takes."""
    found: dict[str, Path] = {}
    for folder in (configs_folder(), *([config_dir] if config_dir else [])):
        for path in config_files(folder / group):
            found.setdefault(path.stem, path)
    return [path for name, path in found.items() if not name.startswith("_")]


def description(path: Path) -> str:
    """The first comment of a config file that is not a directive to Hydra."""
    for line in top_lines(path):
        if line.startswith("#") and "@package" not in line:
            return line.lstrip("# ").strip()
    return ""


def listing(arguments: Sequence[str]) -> int:
    """`optbench list`: all groups; `optbench list GROUP`: its choices, one line each."""
    words, own = _config_dir(arguments)
    if not words:
        rows = [[g, " ".join(name for name, _ in choices(g, own))] for g in groups()]
        print_table("", ["group", "choices"], rows)
        return 0
    for word in words:
        known = groups()
        group = word if word in known else word.removesuffix("s")
        if group not in known:
            raise UserError(f"list {word}: no such group; {did_you_mean(word, known)}")
        if group == "optimizer":
            from optbench.cli.optimizers import optimizers, print_optimizers

            print_optimizers(optimizers(files(group, own)))
        else:
            print_table("", [group, "what it is"], [list(choice) for choice in choices(group, own)])
    return 0


def _config_dir(arguments: Sequence[str]) -> tuple[list[str], Path | None]:
    """The groups that are named, and the folder of the user's own configs."""
    words: list[str] = []
    folder, given = None, iter(arguments)
    for argument in given:
        name, equals, value = argument.partition("=")
        if name == "--config-dir":
            value = value if equals else next(given, "")
            if not value or not Path(value).is_dir():
                raise UserError(f"--config-dir={value}: no such folder")
            folder = Path(value)
        elif name.startswith("-"):
            raise UserError(f"{name}: no such flag; list takes --config-dir and groups")
        else:
            words.append(argument)
    return words, folder
