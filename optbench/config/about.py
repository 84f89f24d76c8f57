"""What a YAML says about itself under `_about_`, which is no part of the config; an optimizer's
says most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import yaml

from optbench.config.as_written import NO_YAML, tree
from optbench.config.suggest import did_you_mean
from optbench.errors import UserError

ABOUT = "_about_"
DESCRIPTION = "description"

KEYS = {
    "optimizer": ("family", "paper", "state", "implementations", "good_for"),
    "recipe": ("for", "tasks", "models", "optimizer", "why"),
}
"""By group what `_about_` may say besides its description."""


@dataclass(frozen=True)
class About:
    """An optimizer in words; what its file does not say is empty.

    Attributes:
        description: what it is, in a line.
        family: what kind it is, such as `adaptive` or `momentum`.
        paper: title, year, where.
        state: what it keeps for each parameter, in units of the parameter's size, with the YAML's
            settings; after a semicolon, what other settings keep.
        implementations: of its step, such as `loop, foreach`.
        good_for: when to try it.
    """

    description: str
    family: str
    paper: str
    state: str
    implementations: str
    good_for: str


def about(said: dict[str, str]) -> About:
    """Return what `described` has found in an optimizer's file."""
    return About(*(said.get(key, "") for key in (DESCRIPTION, *KEYS["optimizer"])))


def described(text: str, group: str, file: object) -> dict[str, str]:
    """Return what a config file says it is, by key; the description is always there.

    A file without one is described by its first comment; one that is no YAML too.

    Args:
        text: the file's.
        group: that it is a choice of.
        file: its name, for messages.

    Raises:
        UserError: see `read_about`.
    """
    try:
        root = tree(text)
    except NO_YAML:  # whoever chooses it is told
        root = None
    found = read_about(root, group, file)
    return {**found, DESCRIPTION: found.get(DESCRIPTION) or _first_comment(text)}


def read_about(root: yaml.Node | None, group: str, file: object) -> dict[str, str]:
    """Return what stands under a file's `_about_`, by key; lists become texts with commas.

    Raises:
        UserError: a key that there is not, a value that is no text and no list of such.
    """
    pairs = root.value if isinstance(root, yaml.MappingNode) else []
    node = next((value for key, value in pairs if key.value == ABOUT), None)
    if node is None or _is_null(node):
        return {}
    known = (DESCRIPTION, *KEYS.get(group, ()))
    if not isinstance(node, yaml.MappingNode):
        raise UserError(f"{file}: {ABOUT}: expected a group of keys, of {', '.join(known)}")
    found = {}
    for key, value in node.value:
        name = str(key.value) if isinstance(key, yaml.ScalarNode) else "?"
        if name not in known:
            raise UserError(f"{file}: {ABOUT}.{name}: no such key; {did_you_mean(name, known)}")
        items = value.value if isinstance(value, yaml.SequenceNode) else [value]
        if not all(isinstance(item, yaml.ScalarNode) for item in items):
            raise UserError(f"{file}: {ABOUT}.{name}: expected a text, or a list of such")
        found[name] = ", ".join("" if _is_null(item) else item.value for item in items)
    return found


def _is_null(node: Any) -> bool:
    return bool(node.tag == "tag:yaml.org,2002:null")


def _first_comment(text: str) -> str:
    """Return the first comment of a config file that is not a directive to Hydra."""
    for line in text.splitlines():
        if line.startswith("#") and "@package" not in line:
            return line.lstrip("# ").strip()
    return ""
