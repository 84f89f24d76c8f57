"""Words that are no override: what was meant, if they are written as a shell or Python would."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Sequence
from itertools import accumulate
from pathlib import Path

from optbench.compose.files import GROUPS
from optbench.compose.unquoted import texts_in_quotes
from optbench.config.declared import field_of, holds_numbers
from optbench.config.suggest import nearest
from optbench.escape import NOTHING, shell_word
from optbench.which_run import of_many

Readable = Callable[[str], bool]
"""Whether Hydra can read an override."""

FUNCTIONS = (
    "choice",
    "range",
    "interval",
    "glob",
    "sort",
    "shuffle",
    "tag",
    "int",
    "float",
    "bool",
    "str",
    "json_str",
    "extend_list",
)
"""Of Hydra's grammar."""
DEEPEST = 50
"""Brackets in brackets."""
OVERRIDES_INSIDE = ("optimizers",)
"""Words whose values have overrides in them."""
_OVERRIDE_INSIDE = re.compile(r"(?<=[\[{,:\s])[\w./@+~-]+=[^,\[\]{}'\"]+")
"""An override without quotes in a list or a mapping."""
_BRACKETS = {"[": "]", "(": ")", "{": "}"}


def no_override(words: Sequence[str], index: int, meant: Callable[[str, str], str | None]) -> str:
    """Return the line for a word without `=`; its neighbours may be what belongs to it.

    Args:
        words: all of them.
        index: which it is.
        meant: finds the override that a word means, given the one after it.
    """
    word = words[index]
    if word and os.path.lexists(os.path.join(word, "status.json")):
        run = shell_word(word)
        examined = f"optbench doctor {run} says what looks wrong"
        return f"{word}: a run's folder; {examined}, optbench resume {run} goes on with it"
    if word and (many := of_many(Path(word))):
        return f"{word}: {many}"
    before = words[index - 1] if index else ""
    after = words[index + 1] if index + 1 < len(words) else ""
    joined = ""
    if before.endswith("="):
        joined = f"{words[index - 2]}={word}" if before == "=" and index > 1 else f"{before}{word}"
    elif after.startswith("="):
        value = words[index + 2] if after == "=" and index + 2 < len(words) else after[1:]
        joined = f"{word}={value}"
    elif re.fullmatch(r"[\w.]+:[^:/]+", word):
        joined = word.replace(":", "=", 1)
    else:
        joined = meant(word, "" if "=" in after or after.startswith("-") else after) or ""
    spaces = before.endswith("=") or after.startswith("=")
    hint = f"; without spaces: {joined}" if spaces else f"; did you mean {joined}?"
    hint = hint if joined else ""
    return f"{word or NOTHING}: expected key=value{hint}"


def too_deep(line: str) -> bool:
    """Return whether brackets nest deeper than in any config; the parser takes ever longer."""
    depths = accumulate((letter in "[{(") - (letter in "]})") for letter in line)
    return max(depths, default=0) > DEEPEST


def misread(line: str, readable: Readable) -> str:
    """Return the line for an override that Hydra's grammar has no place for."""
    key, _, text = line.partition("=")
    if too_deep(line):
        return f"{line}: nested too deeply"
    return f"{line}: {_wrong(key, text, readable)}"


def _wrong(key: str, text: str, readable: Readable) -> str:
    bare = f"{key.strip()}={text.strip()}"
    if bare != f"{key}={text}" and readable(bare):
        return f"without spaces: {bare}"
    key, text = key.strip(), text.strip()
    at, bracket, _ = key.partition("[")
    if bracket and readable(f"{at}=1"):
        return f"a list is given whole: {at}=[...]"
    if not readable(f"{key}=1"):
        return f"{key} can't be a key; expected key=value"
    listed = _as_list(text)
    if listed and readable(f"{key}={listed}"):
        return f"a list is written in brackets: {shlex.quote(f'{key}={listed}')}"
    if text.endswith(",") and readable(f"{key}={text.rstrip(',')}"):
        return f"without the comma at the end: {key}={text.rstrip(',')}"
    function = re.fullmatch(r"(\w+)\(.*\)", text, re.DOTALL)
    if function:
        return _of_functions(function[1])
    unclosed = _unclosed(text)
    if unclosed:
        return f"{unclosed} is not closed, or never opened"
    apart = re.split(r"\s+(?=[\w./@]+=)", f"{key}={text}")
    if len(apart) > 1 and all(map(readable, apart)):
        return f"two overrides in one text? write {shlex.join(apart)}"
    field, several = field_of(key), text.replace(";", ",")
    if holds_numbers(key) or key in GROUPS:
        if several != text and readable(f"{key}={several}"):
            return f"several values are told apart by commas, with -m: {key}={several}"
        return f"can't be parsed as key=value; expected {field.says if field else f'{key}=NAME'}"
    inside = f"{key}={_OVERRIDE_INSIDE.sub(_in_quotes, text)}"
    if key in OVERRIDES_INSIDE and inside != f"{key}={text}" and readable(inside):
        return f"can't be parsed as key=value; texts inside need quotes: {shlex.quote(inside)}"
    if key in OVERRIDES_INSIDE:
        return (
            "can't be parsed; overrides stand in a list, each in quotes: "
            f"""'{key}=[sgd,{{fast: ["optimizer=sgd","optimizer.lr=0.1"]}}]'"""
        )
    quotes = texts_in_quotes(key, text, readable)
    return f"can't be parsed as key=value{f'; {quotes}' if quotes else ''}"


def _in_quotes(found: re.Match[str]) -> str:
    return f'"{found[0]}"'


def _as_list(text: str) -> str | None:
    """Return a tuple, or a set, as a list."""
    if text[:1] + text[-1:] not in ("()", "{}") or ":" in text:
        return None
    return "[" + text[1:-1].strip().rstrip(",") + "]"


def _of_functions(name: str) -> str:
    if name in FUNCTIONS:
        return f"{name}(...) does not take these"
    match = nearest(name, FUNCTIONS)
    hint = f"did you mean {match}(...)?" if match else f"there are {', '.join(FUNCTIONS)}"
    return f"no such function; {hint}"


def _unclosed(text: str) -> str | None:
    """Return the bracket, or quote, that has no other."""
    for quote in "\"'":
        if text.count(quote) % 2:
            return quote
    for opening, closing in _BRACKETS.items():
        if text.count(opening) != text.count(closing):
            return opening if text.count(opening) > text.count(closing) else closing
    return None
