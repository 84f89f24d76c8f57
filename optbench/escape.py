"""What a terminal would obey instead of showing, made visible."""

from __future__ import annotations

import re
import shlex

_OBEYED = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # control characters: ESC begins a terminal's commands
    "\u200b\u200e\u200f\u061c\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # invisible, bidi
    "\ud800-\udfff"  # no letters: among them the bytes of a name that is not UTF-8
    "\U000e0000-\U000e007f]"
)
_NAMED = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}

NOTHING = "''"
"""How a word without letters is shown, as a shell has it."""

FORMULA = "=+-@\t\r"
"""How a text begins that a spreadsheet computes."""


def escaped(text: str, keep: str = "") -> str:
    r"""Return the text with `\x1b` for an ESC, and so on; one line, unless `keep` has a newline.

    For all that others may have written: names, paths, messages, samples of text.

    Args:
        keep: characters that stay as they are.
    """
    return _OBEYED.sub(lambda match: match[0] if match[0] in keep else _shown(match[0]), text)


def escaped_lines(text: str) -> str:
    """Escape each line of a text of several; tabs stay."""
    return escaped(text, keep="\n\t")


def shell_word(text: str) -> str:
    r"""Return a word that can be typed: quoted where a shell needs it, `$'a\x1b'` with escapes."""
    if _OBEYED.search(text):
        quoted = text.replace("\\", "\\\\").replace("'", r"\'")
        return f"$'{escaped(quoted)}'"
    return shlex.quote(text)


def _shown(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # how Python keeps a byte that is not UTF-8
        code -= 0xDC00
    elif character in _NAMED:
        return _NAMED[character]
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def spreadsheet(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula: with an apostrophe before it.

    Example:
        >>> spreadsheet("=1+1"), spreadsheet("-0.5")
        ("'=1+1", '-0.5')
    """
    if not text or text[0] not in FORMULA:
        return text
    try:
        float(text)
    except ValueError:
        return f"'{text}"
    return text
