"""The files of the group `recipe`, and the command that trains with one of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from optbench.compose.composer import keys_of
from optbench.compose.config_source import fault
from optbench.compose.paths import config_files, text_of
from optbench.config.as_written import NO_YAML
from optbench.config.recipes import Recipe, read_recipe
from optbench.errors import UserError

WITHOUT = "none"
"""The recipe that says nothing."""


def recipes_in(folder: Path) -> Iterator[Recipe]:
    """Yield the recipes of a folder of configs.

    Raises:
        UserError: a file that can't be read, or says what it can't say.
    """
    for path in config_files(folder / "recipe"):
        if path.stem == WITHOUT:
            continue
        try:
            yield read_recipe(path.stem, text_of(path), path)
        except NO_YAML as error:
            raise UserError(f"{path}: {fault(error)}") from None


def command_of(overrides: Sequence[str], choices: Mapping[str, str], recipe: Recipe) -> list[str]:
    """Return what to train with: the workload, or model and data set, and what else was said."""
    named = ["workload"] if choices["workload"] != "none" else ["model", "dataset"]
    begin = {f"{group}={choices[group]}" for group in named}
    said = [line for line in overrides if line not in begin and keys_of([line])[0] != "recipe"]
    lead = [f"{group}={choices[group]}" for group in named]
    return [*lead, *said, f"recipe={recipe.name}"]
