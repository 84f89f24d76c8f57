"""Texts and tables in so many columns: lines broken between words, which stay whole."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from itertools import zip_longest

GAP = "  "
"""Between the columns of a table, and between the cells of a line such as `step 1  loss 2`."""
NARROWEST = 20
"""Columns of a table's widest cells, where the words of the others leave less."""
_QUOTED = re.compile(r"(?<!\S)'[^'\n]+'(?=[\s;,.?]|$)")
_KEPT = "\x00"
"""In place of a space that no line is broken at."""


def text_width(text: str) -> int:
    """Return how many columns a text takes in a terminal; letters of East Asia take two each.

    Example:
        >>> text_width("损失 1")
        6
    """
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text) + text.count(_KEPT)


def cut_short(text: str, longest: int) -> str:
    """Return the beginning of a text that takes more columns than there may be, with `...`."""
    if text_width(text) <= longest:
        return text
    while text_width(text) > longest - len("..."):
        text = text[:-1]
    return f"{text}..."


def _wrap(text: str, width: int, indent: str = "", below: str = "") -> list[str]:
    """Wrap as textwrap does, by columns; words stay whole."""
    if text_width(text) == len(text):
        return textwrap.wrap(
            text,
            width,
            initial_indent=indent,
            subsequent_indent=below,
            break_long_words=False,
            break_on_hyphens=False,
        )
    lines: list[str] = []
    for gap, word in re.findall(r"(\s*)(\S+)", text):
        if lines and text_width(lines[-1] + gap + word) <= width:
            lines[-1] += gap + word
        else:
            lines.append((below if lines else indent) + word)
    return lines


def broken(text: str, width: int, hang: int = 2) -> str:
    """Break the lines of a text, so that none is wider unless a word is.

    What is left of a line goes on below, indented by as much as the line and `hang` more. A line of
    cells, which stand two spaces apart, is broken between cells. What stands in quotes, as a hint
    to be pasted does, stays whole.
    """
    whole = _QUOTED.sub(lambda found: found[0].replace(" ", _KEPT), text)
    return "\n".join(_broken(line, width, hang) for line in whole.split("\n")).replace(_KEPT, " ")


def _broken(line: str, width: int, hang: int) -> str:
    if text_width(line) <= width:
        return line
    body = line.lstrip(" ")
    indent = line[: len(line) - len(body)]
    below = f"{indent}{'':<{hang}}"
    cells = body.split(GAP)
    if len(cells) > 2 and all(len(below) + text_width(cell) <= width for cell in cells):
        lines = [indent + cells[0]]
        for cell in cells[1:]:
            if text_width(lines[-1] + GAP + cell) <= width:
                lines[-1] += GAP + cell
            else:
                lines.append(below + cell)
        return "\n".join(lines)
    return "\n".join(_wrap(body, width, indent, below))


def yaml_line(line: str, width: int) -> str:
    """Break a line of YAML that is too wide, in its comment or else its value: the same YAML.

    A value of one word, such as a URL, that is too wide by itself stays beside its key.
    """
    if text_width(line) <= width:
        return line
    found = re.match(r"(|.*?\s)# (.*)", line)
    if found is None:
        return _yaml_value(line, width)
    code, comment = found.groups()
    below = f"{'':<{text_width(code)}}# "
    return "\n".join(_wrap(comment, max(width, len(below) + NARROWEST), f"{code}# ", below))


def _yaml_value(line: str, width: int) -> str:
    body = line.lstrip(" ")
    indent = line[: len(line) - len(body)]
    below = f"{indent}    "  # further than the key of `- key: value`
    words = body.removeprefix("- ").split()
    if len(words) == 2 and len(below) + text_width(words[1]) > width:
        return line
    return "\n".join(_wrap(body, width, indent, below))


def widths(rows: Sequence[Sequence[str]], room: int) -> list[int]:
    """Return how wide each column of a table is to be.

    Every column is as wide as its longest word, or part of a header. What is left of the room goes
    to the words of headers, those of several first, for they take most lines; then to cells; then
    to headers on one line. Each time columns that lack least come first, and so sentences last.

    Args:
        rows: the cells, the header first.
        room: columns for all of them, without what is between them.
    """
    columns = list(zip(*rows, strict=True))
    found = [_least(column) for column in columns]
    left = room - sum(found)
    for wish in (_of_words, _of_cells, lambda column: text_width(column[0])):
        lack = [max(0, wish(column) - has) for column, has in zip(columns, found, strict=True)]
        one_word = [wish is _of_words and " " not in column[0] for column in columns]
        for i in sorted(range(len(columns)), key=lambda i: (one_word[i], lack[i], i)):
            more = max(0, min(lack[i], left))
            found[i] += more
            left -= more
    if left < 0:  # the last one's words may be cut, or stick out
        natural = max(map(text_width, columns[-1]))
        found[-1] = max(min(NARROWEST, natural), found[-1] + left)
    return found


def fits(rows: Sequence[Sequence[str]], room: int) -> bool:
    """Return whether the words of a table stay whole in so much room; see `widths`."""
    return sum(map(_least, zip(*rows, strict=True))) <= room


def room_for(name: str, values: Sequence[str]) -> int:
    """Return how wide a column must be for its values to stand on a line each."""
    return max(_of_words([name]), _of_cells([name, *values]))


def header(name: str, width: int) -> list[str]:
    """Break a header into lines that fit: between words, else after `.`, `/` and `_` too."""
    lines = [""]
    whole = _longest(name.split()) <= width
    for part in re.findall(r"\S+\s*", name) if whole else _parts(name, spaces=True):
        if text_width((lines[-1] + part).rstrip()) > width and lines[-1]:
            lines.append("")
        lines[-1] += part
    return [line.strip() for line in lines]


def columns(rows: Sequence[Sequence[str]], room: int) -> list[str]:
    """Return the lines of a table without borders, the header first.

    Args:
        rows: the cells, the header first.
        room: how wide a line may be.
    """
    fitting = widths(rows, room - len(GAP) * (len(rows[0]) - 1))
    lines = []
    for number, row in enumerate(rows):
        cells = [
            header(cell, width) if number == 0 else _wrapped(cell, width)
            for cell, width in zip(row, fitting, strict=True)
        ]
        for parts in zip_longest(*cells, fillvalue=""):
            padded = [_padded(part, width) for part, width in zip(parts, fitting, strict=True)]
            lines.append(GAP.join(padded).rstrip())
    return lines


def _least(column: Sequence[str]) -> int:
    """Return how wide a column must be for its words, and its header's parts, to stay whole."""
    return max(_longest(_parts(column[0])), *(_longest(cell.split()) for cell in column[1:]), 1)


def _of_words(column: Sequence[str]) -> int:
    """Return the same with the header's words whole."""
    return max(_least(column), _longest(column[0].split()))


def _of_cells(column: Sequence[str]) -> int:
    """Return how wide a column's cells are, without its header."""
    return max(map(text_width, column[1:]), default=0)


def _parts(name: str, spaces: bool = False) -> list[str]:
    """Return the parts of a header, between which it may be broken."""
    parts = re.findall(r"[^\s./_]*[./_\s]+|[^\s./_]+", name) or [""]
    return parts if spaces else [part.strip() for part in parts]


def _longest(words: Sequence[str]) -> int:
    return max(map(text_width, words), default=0)


def _padded(text: str, width: int) -> str:
    return text + " " * (width - text_width(text))


def _wrapped(text: str, width: int) -> list[str]:
    return _wrap(text, width) or [""]
