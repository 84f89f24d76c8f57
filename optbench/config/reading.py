"""Plain data that came as text: a number, a word of YAML, a list."""

from __future__ import annotations

import re
from typing import Any

import yaml

_WORDS = {"true": True, "false": False, "null": None}
_NUMBER = re.compile(r"[-+]?(\d[\d_]*\.?\d*|\.\d+)(e[-+]?\d+)?", re.IGNORECASE)


def plain_value(text: str) -> Any:
    """Return the number, true, false, null, list or mapping that a text says; else the text."""
    word = text.strip()
    if word.lower() in _WORDS:
        return _WORDS[word.lower()]
    if _NUMBER.fullmatch(word):
        try:
            return int(word)
        except ValueError:
            return float(word)
    if word[:1] in ("[", "{"):
        try:
            return _within(yaml.safe_load(word))
        except (yaml.YAMLError, ValueError, RecursionError):
            return text
    return text


def _within(value: Any) -> Any:
    """Do the same for the texts in a list or mapping: to YAML, 1e-3 is one."""
    if isinstance(value, list):
        return [_within(item) for item in value]
    if isinstance(value, dict):
        return {key: _within(item) for key, item in value.items()}
    return plain_value(value) if isinstance(value, str) else value
