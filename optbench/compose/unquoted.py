"""Overrides whose texts need quotes: those texts in quotes, and all else as it is."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator

from hydra.core.override_parser.types import Quote, QuotedString

from optbench.compose.quoting import literal
from optbench.config.declared import field_of, takes

_ITEM = re.compile(r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[\[\]{},]|[^\[\]{},]+""")
"""A text in quotes, a sign between texts, or what stands between these."""


def texts_in_quotes(key: str, text: str, readable: Callable[[str], bool]) -> str | None:
    """Return what to type instead, or what is expected where quotes alone would not do.

    Of a list or a mapping each text is quoted that needs it, and so is each of several values; with
    a space behind its comma it is one text.

    Args:
        key, text: of an override that Hydra's grammar has no place for.
        readable: whether it has one for another.

    Example:
        >>> print(texts_in_quotes("tags", "[a,größe]", lambda l: l.isascii() or '"' in l))
        a text needs quotes: 'tags=[a,"größe"]'
    """
    parts = list(_parts(text))
    bracket = text[:1] in tuple("[{")
    several = any(quote in text for quote in "\"'") or re.search(r",(?!\s)", text) is not None
    for way in [parts] if bracket else [parts, [text]] if several else [[text]]:
        quoted = [part if _fits(part, readable) else _quoted(part) for part in way]
        line = f"{key}={''.join(quoted)}"
        if readable(line):
            field = field_of(key)
            words = [part.strip(" \"'") for part in way if part not in tuple("[]{},")]
            values = [words] if text[:1] == "[" else [] if text[:1] == "{" else words
            if field is not None and not all(takes(key, value) for value in values):
                return f"expected {field.says}"
            return f"a text needs quotes: {shlex.quote(line)}"
    return None


def _parts(text: str) -> Iterator[str]:
    """Yield texts, and the signs that tell them apart; within a mapping, keys too."""
    opened = ""
    for found in _ITEM.findall(text):
        opened = opened + found if found in "[{" else opened
        opened = opened[:-1] if found in "]}" else opened
        in_mapping = opened.endswith("{") and ":" in found and found[0] not in "\"'"
        if in_mapping:
            name, colon, value = found.partition(":")
            yield f"{name}{colon}{' ' * (len(value) - len(value.lstrip()))}"
            found = value.lstrip()
        if found:
            yield found


def _fits(part: str, readable: Callable[[str], bool]) -> bool:
    """Return whether a part stands as it is: a sign, a key of a mapping, a text without trouble."""
    return part in tuple("[]{},") or part.rstrip().endswith(":") or readable(f"a=[{part}]")


def _quoted(part: str) -> str:
    text = part.strip()
    return part.replace(text, QuotedString(literal(text), Quote.double).with_quotes(), 1)
