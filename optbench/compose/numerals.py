"""Numbers as they are written elsewhere: 1,000 with a comma, lists without any."""

from __future__ import annotations

import re
import shlex

from optbench.config.declared import takes

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(?:[, _]\d{3})+")
_LISTED = re.compile(rf"\[?\s*{_NUMBER}(?:\s*[;,\s]\s*{_NUMBER})+\s*\]?")


def misread_numbers(line: str) -> str:
    """Return what is wrong with an override whose numbers Hydra would read as something else.

    Empty where nothing is: `lr=0.1,1` are two values, and so may be `batch_size=128,256`, but no
    number begins as `000` in `steps=1,000` does.

    Args:
        line: the override.
    """
    key, _, text = line.partition("=")
    key, text = key.lstrip("+~"), text.strip()
    quoted = text[:1] in ("'", '"') and text[-1:] == text[:1] and len(text) > 1
    text = text[1:-1].strip() if quoted else text
    one = one_number(key, text)
    if one and (quoted or " " in text or re.search(r",0\d\d", text)):
        return f"a number has no commas and spaces: {one}"
    brackets = text[:1] == "[" and text[-1:] == "]"
    several = quoted or bool(re.search(r"[;\s]", text.strip("[] ")) and "," not in text)
    if not several or not _LISTED.fullmatch(text) or (text[:1] == "[") != brackets:
        return ""
    numbers = re.findall(_NUMBER, text)
    values = [int(each) if each.lstrip("+-").isdecimal() else float(each) for each in numbers]
    if not brackets and (takes(key, ["a word"]) or not takes(key, values)):
        return ""
    listed = f"{key}=[{','.join(numbers)}]"
    return f"a list has brackets and commas: {shlex.quote(listed)}"


def one_number(key: str, text: str) -> str:
    """Return the override for a number with its thousands apart; empty where it is none.

    Args:
        key: what is set.
        text: the value as it is typed.
    """
    if not _THOUSANDS.fullmatch(text):
        return ""
    number = re.sub(r"[, _]", "", text)
    is_number = takes(key, int(number)) and not takes(key, "any words")
    return f"{key}={number}" if is_number else ""


def with_a_point(text: str) -> str:
    """Return a decimal that is written with a comma as it is written here; empty for all else."""
    found = re.fullmatch(r"([+-]?\d+),(\d*(?:[eE][+-]?\d+)?)", text)
    return f"{found[1]}.{found[2]}" if found else ""
