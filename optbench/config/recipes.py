"""What a recipe's YAML says: its settings, each with the reason in the comment behind it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from optbench.config.about import comments

KEYS = ("for", "tasks", "models", "optimizer", "why")
"""The comments at the top, each `# key: text`, `tasks` and `models` comma-separated."""

_CHOICE = re.compile(r"-\s+override\s+/(?P<group>\w+):\s+(?P<value>[^#\s]+)")
_LINE = re.compile(r"(?P<indent> *)(?P<key>\w+):\s*(?P<value>[^#]*?)\s*(#\s*(?P<why>.*))?$")


@dataclass(frozen=True)
class Setting:
    """A dotted key, its value as it is written, and the reason for it."""

    key: str
    value: str
    why: str


@dataclass(frozen=True)
class Recipe:
    """A recipe in words.

    Attributes:
        name: of its file.
        description: the file's first line.
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
        """A setting's value, or of all players that have it, such as `4e-4, 1e-4`; else empty."""
        own = [s.value for s in self.settings if s.key == key]
        return ", ".join(own or [s.value for s in self.settings if s.key.endswith(f".{key}")])


def read_recipe(name: str, lines: Sequence[str]) -> Recipe:
    """Reads a recipe's file, line by line."""
    description, found = comments(lines, KEYS)
    return Recipe(
        name=name,
        description=description,
        purpose=found["for"],
        tasks=_words(found["tasks"]),
        models=_words(found["models"]),
        optimizer=found["optimizer"],
        why=found["why"],
        settings=tuple(_settings(lines)),
    )


def choose(recipes: Iterable[Recipe], model: str, task: str) -> Recipe | None:
    """The recipe that names the model, or else the task."""
    known = list(recipes)
    for recipe in known:
        if model in recipe.models:
            return recipe
    return next((recipe for recipe in known if task in recipe.tasks), None)


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _settings(lines: Iterable[str]) -> Iterable[Setting]:
    path: list[str] = []
    for line in lines:
        reason = line.partition(" #")[2].strip()
        choice = _CHOICE.search(line)
        if choice:
            yield Setting(choice["group"], choice["value"], reason)
            continue
        match = _LINE.match(line)
        if match is None or match["key"] == "defaults":
            continue
        path = [*path[: len(match["indent"]) // 2], match["key"]]
        if match["value"]:
            yield Setting(".".join(path), match["value"], reason)
