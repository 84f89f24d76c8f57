"""What a recipe's YAML says: its settings, each with the reason in the comment behind it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from optbench.config.about import DESCRIPTION, described
from optbench.config.as_written import Setting, settings


@dataclass(frozen=True)
class Recipe:
    """A recipe in words.

    Attributes:
        name: of its file.
        description: what it is, in a line.
        purpose: what it is for.
        tasks: whose models it is for, unless another recipe names the model.
        models: that it is for, whatever the task.
        optimizer: the task's own, of a recipe that chooses none.
        why: the reason for the whole.
        settings: in the order of the file; the groups' choices are the first ones.
    """

    name: str
    description: str
    purpose: str
    tasks: tuple[str, ...]
    models: tuple[str, ...]
    optimizer: str
    why: str
    settings: tuple[Setting, ...] = field(default=())

    def value(self, key: str) -> str:
        """Return a setting's value, or those of the players, such as `4e-4, 1e-4`; else empty."""
        own = [s.value for s in self.settings if s.key == key]
        return ", ".join(own or [s.value for s in self.settings if s.key.endswith(f".{key}")])

    @property
    def rows(self) -> list[list[str]]:
        """It in a table: name and settings, then what it is for, and why."""
        said = {setting.key: setting.value.replace(", ", ",") for setting in self.settings}
        if "optimizer" not in said and self.optimizer:
            said = {"optimizer": self.optimizer, **said}
        sets = " ".join(f"{key}={value}" for key, value in said.items())
        purpose = f"for {self.purpose}" if self.purpose else ""
        return [[self.name, sets], *(["", text] for text in (purpose, self.why) if text)]


def read_recipe(name: str, text: str, file: object) -> Recipe:
    """Read what a recipe's text says.

    Args:
        name: the recipe's.
        text: of its file.
        file: its name, for messages.

    Raises:
        UserError: its `_about_` has what it can't have.
        YAMLError, ValueError, RecursionError: it is no YAML.
    """
    found = tuple(settings(text))
    said = described(text, "recipe", file)
    return Recipe(
        name=name,
        description=said[DESCRIPTION],
        purpose=said.get("for", ""),
        tasks=_words(said.get("tasks", "")),
        models=_words(said.get("models", "")),
        optimizer=said.get("optimizer", ""),
        why=said.get("why", ""),
        settings=found,
    )


def choose(recipes: Iterable[Recipe], model: str, task: str) -> Recipe | None:
    """Choose the recipe that names the model, or else the task."""
    known = list(recipes)
    for recipe in known:
        if model in recipe.models:
            return recipe
    return next((recipe for recipe in known if task in recipe.tasks), None)


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())
