"""Texts of others on the terminal: what would move the cursor or end the line is escaped."""

from __future__ import annotations


def printable(text: str) -> str:
    r"""A text on one line, without anything that a terminal obeys: `\x1b` for an escape."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else _escaped(letter) for letter in text)


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")
