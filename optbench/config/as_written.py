"""A YAML file as it is written: its nodes, its values in their own words, the comment behind each.

Nothing is constructed, so that `1e-3` stays `1e-3`, and a stranger's file does nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import yaml

NO_YAML = (yaml.YAMLError, ValueError, RecursionError)
"""What the parser raises for a text that is none."""


@dataclass(frozen=True)
class Setting:
    """A dotted key, its value as it is written, and the comment behind it."""

    key: str
    value: str
    why: str


def tree(text: str) -> yaml.Node | None:
    """Parse the nodes of a YAML text, None of an empty one; raise `NO_YAML` for what is none."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    found: yaml.Node | None = yaml.compose(text.removeprefix("\ufeff"), Loader=loader)
    return found


def settings(text: str) -> Iterator[Setting]:
    """Yield what a config file sets, in its order: groups' choices, and keys that have a value.

    Left out are blocks of lists, aliases, and what the file says it is, under `_about_` and
    `_target_`.
    """
    root = tree(text)
    if isinstance(root, yaml.MappingNode):
        yield from _settings(root, "", text.removeprefix("\ufeff"))


def _settings(node: yaml.MappingNode, at: str, text: str) -> Iterator[Setting]:
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode) or (not at and key.value[:1] == "_"):
            continue
        if value.start_mark.index < key.start_mark.index:  # an alias: it stands elsewhere
            continue
        if not at and key.value == "defaults":
            yield from _choices(value, text)
        elif isinstance(value, yaml.MappingNode) and not value.flow_style:
            yield from _settings(value, f"{at}{key.value}.", text)
        elif value.end_mark.index > value.start_mark.index and _is_inline(value):
            yield Setting(f"{at}{key.value}", _words(value, text), _comment(value, text))


def _choices(node: yaml.Node, text: str) -> Iterator[Setting]:
    """Yield the entries `override /GROUP: NAME` of a defaults list."""
    entries = node.value if isinstance(node, yaml.SequenceNode) else []
    for entry in entries:
        for key, value in entry.value if isinstance(entry, yaml.MappingNode) else []:
            word, _, group = str(key.value).partition(" ")
            group = group.strip().lstrip("/")
            if word == "override" and group.isidentifier():
                yield Setting(group, _words(value, text), _comment(value, text))


def _is_inline(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) or bool(getattr(node, "flow_style", False))


def _words(node: yaml.Node, text: str) -> str:
    """Return a value as it is written, on one line."""
    return " ".join(text[node.start_mark.index : node.end_mark.index].split())


def _comment(node: yaml.Node, text: str) -> str:
    """Return the comment behind a value, empty if there is none."""
    rest = text[node.end_mark.index :].partition("\n")[0].strip()
    return rest.removeprefix("#").strip() if rest.startswith("#") else ""
