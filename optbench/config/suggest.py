"""How alike two words are, and which of some is nearest.

A mistyped key of the config, with its path, is `keys.py`'s.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

ALIASES = {
    **{"gpu": "cuda", "none": "constant"},
    **{"float32": "fp32", "float16": "fp16", "bfloat16": "bf16", "half": "fp16", "16": "fp16"},
    **{"16-mixed": "fp16", "bf16-mixed": "bf16", "32-true": "fp32", "32": "fp32"},
    **{"true": "epoch", "false": "none"},
    "-v": "--version",
}
"""Words that mean another word without looking like it."""


SAME_START = 0.1
"""What words gain that begin with the same two letters."""
BEGUN = 0.7
"""How alike a word is to a longer one that it begins."""
ALIKE = 0.65
"""Words that are less alike have nothing to do with each other: `test` and `list`."""
SAME_FLAG = 0.85
"""Flags are short: less alike is another word."""
SHORT = 4
"""Letters of words of which another letter makes another word: `foo` and `zoo`."""
_ROWS = ("1234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm")
"""Of a keyboard; of two keys one above the other the place is the same, or one less below."""


def nearest(word: str, options: Iterable[str], cutoff: float = ALIKE) -> str | None:
    """Return the option most like `word`, or None when nothing is alike by as much as `cutoff`."""
    options = list(options)
    if ALIASES.get(word.lower()) in options:
        return ALIASES[word.lower()]
    best = max(options, key=lambda option: _order(word, option), default=None)
    return best if best is not None and likeness(word, best) >= cutoff else None


def did_you_mean(word: str, options: Iterable[str]) -> str:
    """Return `did you mean X?`, or the list of what there is when nothing is alike."""
    options = list(options)
    match = nearest(word, options)
    return f"did you mean {match}?" if match else f"choose from {', '.join(sorted(options))}"


def flag_meant(name: str, known: Iterable[str]) -> str | None:
    """Return the flag that a word is nearly, or begins; of several that it begins, all of them."""
    known = [flag for flag in known if flag.startswith("--")]
    ends = [flag for flag in known if name.endswith(flag[1:]) and name != flag]
    near = nearest(name, known, cutoff=SAME_FLAG) or next(iter(ends), None)  # --num-seeds
    begun = [flag for flag in known if len(name) > 2 and flag.startswith(name)]
    if near is not None and (near in begun or not begun):
        return near
    return " or ".join(begun) or None


def flat(word: str) -> str:
    """Return a word without case and punctuation, in which people differ: `AdamW` and `adam_w`."""
    return "".join(letter for letter in word.lower() if letter.isalnum())


def likeness(one: str, other: str) -> float:
    """Return how alike two words are, from 0 to 1; a slip of one letter is nearly nothing."""
    one, other = one.lower(), other.lower()
    if one == other:
        return 1.0
    if flat(one) == flat(other) != "":
        return 0.99
    if _parts(one) == _parts(other):
        return 0.98
    if len(one) == len(other) <= SHORT and _another_letter(one, other):
        return 0.0
    ratio = difflib.SequenceMatcher(None, other, one).ratio()
    if len(one) > 2 and _one_slip(one, other):
        return 0.85 + 0.1 * ratio
    if len(one) > 2 and other.startswith(one):  # cut short
        return max(ratio, BEGUN)
    return ratio + (SAME_START if one[:2] == other[:2] and ratio < 0.75 else 0.0)


def _one_slip(one: str, other: str) -> bool:
    """Return whether words differ by one letter too many, too few or wrong, or by two swapped."""
    start = _same_start(one, other)
    one, other = one[start:], other[start:]
    if one[1:] == other[1:] or one[1:] == other or one == other[1:]:
        return True
    return one[:2] == other[1::-1] and one[2:] == other[2:]


def _parts(word: str) -> list[str]:
    """Return the parts of a word in order, so that `lr-find` is `find-lr`."""
    return sorted(re.split(r"[^a-z0-9]+", word))


def _another_letter(one: str, other: str) -> bool:
    """Return whether words differ in one letter that nobody hits or says in the other's place."""
    pairs = [pair for pair in zip(one, other, strict=True) if pair[0] != pair[1]]
    if len(pairs) != 1:
        return False
    if not all(letter.isalnum() for letter in pairs[0]):
        return False
    return not (set(pairs[0]) <= set("aeiouy") or _neighbours(*pairs[0]))


def _neighbours(one: str, other: str) -> bool:
    """Return whether two keys lie beside each other on a keyboard."""
    places = {letter: (y, x) for y, row in enumerate(_ROWS) for x, letter in enumerate(row)}
    if one not in places or other not in places:
        return False
    (y, x), (below, u) = sorted((places[one], places[other]))
    return (y == below and u == x + 1) or (below == y + 1 and u in (x, x - 1))


def _order(word: str, option: str) -> tuple[float, int]:
    """Return a key to sort by: of options equally alike, one that begins as the word goes first."""
    return likeness(word, option), _same_start(word.lower(), option.lower())


def _same_start(one: str, other: str) -> int:
    """Return how many letters two words begin with that are the same."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(one), len(other)))
