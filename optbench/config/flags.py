"""The flags among a verb's arguments, and what was meant by one that it does not have, or by a word
that is one of them."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from optbench.config.suggest import SAME_FLAG, flag_meant, likeness
from optbench.errors import UserError

PRINTED = {".csv": "--csv", ".json": "--json", ".tex": "--latex"}
"""How a verb prints what belongs into such a file."""
PAGES = (".html", ".htm")
NO_SHORT: Mapping[str, str] = MappingProxyType({})


def flag_hint(verb: str, argument: str, after: str, known: Sequence[str]) -> str:
    """Return which of a verb's flags was meant, or which there are.

    Args:
        verb: whose flags they are.
        argument: the one that it does not have, perhaps with `=value`.
        after: the word that follows it.
        known: the flags that there are.
    """
    name = argument.partition("=")[0]
    match = flag_meant(name, (*known, "--help"))
    short = "" if name.startswith("--") else name[:2]
    if match is None and short in known:
        return f"did you mean {short} {argument[2:]}?"
    if match is None and name == short:
        match = " or ".join(flag for flag in known if flag.startswith(f"-{name}"))
    if match:
        return f"did you mean {match}?"
    return output_meant(argument, after, known) or f"{verb} takes {', '.join(known)}"


def output_meant(argument: str, after: str, known: Sequence[str]) -> str | None:
    """Return how a verb that prints gets something into a file; None for no flag of files.

    Args:
        argument, after, known: as for `flag_hint`.
    """
    name, equals, value = argument.partition("=")
    glued = name[2:] if name.startswith("-o") else ""
    if (name not in ("--out", "--output") and not name.startswith("-o")) or "--json" not in known:
        return None
    file = value if equals else glued or after
    for end, flag in PRINTED.items():
        if file.endswith(end) and flag in known:
            return f"what is printed goes into a file by {flag} > {file}"
    if file.endswith(PAGES):
        return f"a page is made by optbench report -o {file}"
    return "what is printed goes into a file by --json > FILE"


def flag_of_word(word: str, valued: Sequence[str], switches: Sequence[str] = ()) -> str | None:
    """Return the flag that is written `key=value`, as it has to be; None for another word.

    Args:
        valued, switches: flags with values and without.
    """
    key, equals, value = word.partition("=")
    flag = f"--{key.replace('_', '-')}"
    if equals and flag in switches:
        return flag
    return shlex.join([flag, value]) if equals and key and value and flag in valued else None


def is_key(word: str, said: str | None) -> bool:
    """Return whether a word is nearly the key of an override, which has no dot."""
    key = (said or "").partition("=")[0]
    return bool(key) and "." not in key and likeness(word, key) >= SAME_FLAG


def page_meant(words: Sequence[str]) -> str | None:
    """Return the file of a page among words, such as `report.html` or `> report.html`."""
    return next((word.lstrip("> ") for word in words if word.lower().endswith(PAGES)), None)


def taken(
    verb: str,
    arguments: Sequence[str],
    valued: Sequence[str],
    switches: Sequence[str],
    short: Mapping[str, str] = NO_SHORT,
) -> tuple[dict[str, str], list[str]]:
    """Split a verb's arguments: flags with values (a switch's is empty), and the other words.

    Args:
        verb: whose they are.
        arguments: of it.
        valued: its flags with values.
        switches: its others.
        short: other ways to write some of these.

    Raises:
        UserError: a flag that the verb does not have, or one without its value.
    """
    found: dict[str, str] = {}
    words = []
    known = (*valued, *switches)
    given = iter(arguments)
    for argument in given:
        name, equals, value = argument.partition("=")
        name = short.get(name, name)
        if name in valued:
            found[name] = value if equals else next(given, "")
            if not found[name]:
                raise UserError(f"{name}: it wants a value")
        elif name in switches:
            if equals:
                raise UserError(f"{name}: it takes no value")
            found[name] = ""
        elif argument.startswith("-"):
            hint = flag_hint(verb, argument, next(given, ""), known)
            raise UserError(f"{name}: no such flag; {hint}")
        elif (flag := flag_of_word(argument, valued, switches)) and not os.path.isdir(argument):
            raise UserError(f"{argument}: did you mean {flag}?")
        else:
            words.append(argument)
    return found, words
