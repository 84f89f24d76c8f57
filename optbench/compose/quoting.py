"""Plain data in the grammar of Hydra's overrides, which reads it back as it was."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from hydra.core.override_parser.types import Quote, QuotedString


def literal(text: str) -> str:
    r"""Return a text in which OmegaConf finds nothing to interpolate: `\${` for `${`."""
    return re.sub(r"(\\*)\$\{", lambda found: found[1] * 2 + r"\${", text)


def quoted(text: str) -> str:
    """Quote a text, whatever letters are in it."""
    return QuotedString(literal(text), Quote.single).with_quotes()


def with_quotes(line: str) -> str:
    """Return an override with its value quoted if it is one `${...}`, as nested ones need it."""
    key, _, text = line.partition("=")
    if not (text.startswith("${") and text.endswith("}")):
        return line
    return f"{key}={QuotedString(text, Quote.double).with_quotes()}"


def value_text(value: Any) -> str:
    """Return what stands behind `key=` for a value."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {value_text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(value_text, value)) + "]"
    return quoted(value) if isinstance(value, str) else json.dumps(value)
