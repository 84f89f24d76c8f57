"""What a YAML says about itself, in the comments at its top; an optimizer's says most."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

KEYS = ("family", "paper", "state", "implementations", "good for")
"""The comments that follow the description, each `# key: text`."""


@dataclass(frozen=True)
class About:
    """An optimizer in words.

    Attributes:
        description: the file's first line.
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


def about(lines: Iterable[str]) -> About:
    """Reads the comments at the top of a file; what is missing is empty."""
    description, found = comments(lines, KEYS)
    return About(description, *(found[key] for key in KEYS))


def comments(lines: Iterable[str], keys: Iterable[str]) -> tuple[str, dict[str, str]]:
    """The description at the top of a file, and its comments `# key: text` by key."""
    description, found = "", dict.fromkeys(keys, "")
    for line in lines:
        if not line.startswith("#"):
            break
        text = line.lstrip("# ").strip()
        if text.startswith("@package"):
            continue
        key, colon, value = text.partition(": ")
        if colon and key in found:
            found[key] = value
        elif not description:
            description = text
    return description, found
