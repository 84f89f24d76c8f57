"""Did you mean: the nearest right spelling of a word."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

ALIASES = {"gpu": "cuda", "float32": "fp32", "float16": "fp16", "bfloat16": "bf16", "half": "fp16"}
"""Words that mean another word without looking like it."""


def nearest(word: str, options: Iterable[str]) -> str | None:
    """The option most like `word`, or None when nothing is alike."""
    options = list(options)
    if ALIASES.get(word.lower()) in options:
        return ALIASES[word.lower()]
    matches = difflib.get_close_matches(word.lower(), options, n=1, cutoff=0.5)
    return matches[0] if matches else None


def did_you_mean(word: str, options: Iterable[str]) -> str:
    """`did you mean X?`, or the list of what there is when nothing is alike."""
    options = list(options)
    match = nearest(word, options)
    return f"did you mean {match}?" if match else f"choose from {', '.join(sorted(options))}"
