"""The verb `recommend`: all recipes as a table, or the one for a model and a data set."""

from __future__ import annotations

from collections.abc import Sequence

from optbench.cli.training import parse
from optbench.compose.composer import Composer, hydra_session
from optbench.compose.paths import configs_folder, folder_of_configs
from optbench.compose.recipes import command_of, recipes_in
from optbench.config.recipes import Recipe, choose
from optbench.console import print_lines, print_table, print_text
from optbench.errors import UserError
from optbench.escape import shell_word
from optbench.runs.built import check_fits


def recommend(arguments: Sequence[str]) -> int:
    """Run `optbench recommend [overrides of train]`; return the exit code."""
    flags = parse(arguments, ("--config-dir", "--help"))
    for flag in ("multirun", "cfg", "info", "hydra_help"):
        if getattr(flags, flag):
            name = flag.replace("_", "-")
            raise UserError(f"--{name}: not with recommend, which is about one model")
    own = [] if flags.config_dir is None else [folder_of_configs(flags.config_dir)]
    folders = [configs_folder(), *own]
    recipes = {recipe.name: recipe for folder in folders for recipe in recipes_in(folder)}
    overrides = list(flags.overrides)
    if not overrides:
        rows = [row for recipe in recipes.values() for row in recipe.rows]
        print_table("", ["recipe", "what it sets, for what, and why"], rows)
        print_lines("\noptbench recommend model=NAME [dataset=NAME] chooses one of them.")
        return 0
    with hydra_session(flags.config_dir) as composer:
        _one(composer, recipes, overrides)
    return 0


def _one(composer: Composer, recipes: dict[str, Recipe], overrides: list[str]) -> None:
    """Print the recipe for what the overrides lead to, and the command, which is checked."""
    choices = composer.spec(composer.compose(overrides), overrides).choices
    asked = recipes.get(choices["recipe"])
    recipe = asked or choose(recipes.values(), choices["model"], choices["task"])
    if recipe is None:
        names = ", ".join(recipes)
        raise UserError(
            f"model={choices['model']}: no recipe is for it or for task={choices['task']}; "
            f"there are {names}"
        )
    command = command_of(overrides, choices, recipe)
    spec = composer.spec(composer.compose(command), command)
    check_fits(spec)
    about = [f"{group}={choices[group]}" for group in ("model", "dataset", "task")]
    print_text(f"recipe={recipe.name} for {' '.join(about)}")
    print_text(f"{recipe.description}\n{recipe.why}\n")
    rows = [[setting.key, setting.value, setting.why] for setting in recipe.settings]
    print_table("", ["setting", "value", "why"], rows)
    own = spec.choices["optimizer"]
    if own != (recipe.value("optimizer") or own):
        print_text(f"\noptimizer={own} is yours, and has its own settings, not the recipe's")
    line = " ".join(map(shell_word, command))
    print_lines(f"\noptbench train {line}")
