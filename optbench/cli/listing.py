"""The verb `list`: what can be chosen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from optbench.compose.optimizers import HEADER, WHAT
from optbench.compose.paths import (
    config_files,
    configs_folder,
    description_of,
    folder_of_configs,
    text_of,
)
from optbench.config.about import DESCRIPTION
from optbench.config.flags import taken
from optbench.config.suggest import did_you_mean
from optbench.console import print_lines, print_table, width
from optbench.errors import UserError
from optbench.escape import NOTHING
from optbench.layout import yaml_line


def groups() -> list[str]:
    """Return the groups that have choices."""
    return sorted(path.name for path in configs_folder().iterdir() if path.is_dir())


def choices(group: str, config_dir: Path | None = None) -> list[tuple[str, str]]:
    """Return name and description of each choice, a user's own last."""
    return [(path.stem, description_of(path)[DESCRIPTION]) for path in files(group, config_dir)]


def files(group: str, config_dir: Path | None = None) -> list[Path]:
    """Return the files of a group; of two of one name ours, for that is the one Hydra takes."""
    found: dict[str, Path] = {}
    for folder in (configs_folder(), *([config_dir] if config_dir else [])):
        for path in config_files(folder / group):
            found.setdefault(path.stem, path)
    return [path for name, path in found.items() if not name.startswith("_")]


def listing(arguments: Sequence[str]) -> int:
    """Print all groups; `list GROUP`: its choices, a line each; `list GROUP NAME`: one choice."""
    flags, words = taken("list", arguments, ("--config-dir",), ())
    own = folder_of_configs(flags["--config-dir"]) if flags else None
    if not words:
        rows = [[g, " ".join(path.stem for path in files(g, own))] for g in groups()]
        print_table("", ["group", "choices"], rows)
        print_lines("\noptbench list GROUP [NAME] says more.")
        return 0
    group = ""
    for number, word in enumerate(words):
        named = _group(word)
        if named is not None:
            group = named
            if number + 1 == len(words) or _group(words[number + 1]) is not None:
                _print_group(group, own)
        elif group:
            _print_choice(group, word, own)
        else:
            of = [each for each in groups() if (configs_folder() / each / f"{word}.yaml").exists()]
            hint = f"did you mean list {of[0]} {word}?" if of else did_you_mean(word, groups())
            raise UserError(f"list {word or NOTHING}: no such group; {hint}")
    return 0


def _group(word: str) -> str | None:
    """Return the group of this name, also in the plural."""
    known = groups()
    return next((name for name in (word, word.removesuffix("s")) if name in known), None)


def _print_group(group: str, own: Path | None) -> None:
    if group == "optimizer":
        from optbench.compose.optimizers import optimizers

        print_optimizers(optimizers(files(group, own)))
    else:
        print_table("", [group, "what it is"], [list(choice) for choice in choices(group, own)])


def _print_choice(group: str, name: str, own: Path | None) -> None:
    """Print what there is to say of one choice: what an optimizer says of itself, else the file."""
    found = {path.stem: path for path in files(group, own)}
    if group == "optimizer":
        from optbench.compose.optimizers import optimizers

        rows = {row[0].removeprefix("zoo "): row for row in reversed(optimizers(files(group, own)))}
        if any(rows.get(name, [])[1:]):
            print_one(rows[name])
            return
        found = dict.fromkeys(rows, Path()) | found
    if name not in found:
        said = f"list {group} {name or NOTHING}"
        raise UserError(f"{said}: no such {group}; {did_you_mean(name, found)}")
    lines = text_of(found[name]).splitlines()
    print_lines("\n".join(yaml_line(line, width()) for line in lines))


def print_optimizers(rows: list[list[str]]) -> None:
    """Print what optimizers there are to choose from, a line each."""
    print_table("", [HEADER[0], HEADER[1], WHAT], [[row[0], row[1], row[6]] for row in rows])
    print_lines("\noptbench list optimizer NAME says more of one.")


def print_one(row: list[str]) -> None:
    """Print all there is to say of one, a line each."""
    print_table(
        "",
        [HEADER[0], row[0]],
        [list(each) for each in zip(HEADER[1:], row[1:], strict=True) if each[1]],
    )
