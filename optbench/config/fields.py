"""The field's words: what each reserved configuration key may hold, wherever it stands.

A type follows from the default that stands in the YAML (see `conform`). This table adds what a
default cannot say: ranges, closed lists of words, fixed lengths, and the type behind a `null`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from unicodedata import category

from optbench.config.lengths import Length

LONGEST_NAME = 200
"""Bytes of a name, of the 255 that a file system takes."""


@dataclass(frozen=True)
class Field:
    """One reserved word: how it is read, and what it has to satisfy.

    Attributes:
        read: turns the written value into the right type, ValueError or TypeError if it can't.
        says: what is expected, for the error's line.
        fixed: a list of it has the length of the YAML's default.
        nullable: `null` is allowed, whatever the default.
    """

    read: Callable[[Any], Any]
    says: str
    fixed: bool = False
    nullable: bool = False


def number(
    low: float = -math.inf,
    high: float = math.inf,
    *,
    low_open: bool = False,
    high_open: bool = False,
) -> Callable[[Any], float]:
    """Reads a finite float inside an interval."""

    def read(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError
        value = float(value)
        if not math.isfinite(value) or value < low or value > high:
            raise ValueError
        if (low_open and value == low) or (high_open and value == high):
            raise ValueError
        return value

    return read


def integer(low: int, high: int = 2**53) -> Callable[[Any], int]:
    """Reads a whole number from `low` to `high`, by default as far as floats are exact."""

    def read(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
            raise ValueError
        if value < low or value > high:
            raise ValueError
        return int(value)

    return read


def one_of(*words: str) -> Callable[[Any], str]:
    """Reads one of a closed list of words."""

    def read(value: Any) -> str:
        if value not in words:
            raise ValueError
        return str(value)

    read.words = words  # type: ignore[attr-defined]
    return read


def each(read: Callable[[Any], Any]) -> Callable[[Any], list[Any]]:
    """Reads a list, every element by `read`."""

    def read_all(value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise ValueError
        return [read(item) for item in value]

    return read_all


def eps(value: Any) -> float | list[float | None] | None:
    """Reads a number of at least 0, or Adafactor's pair of them, of which one may be null."""
    if isinstance(value, list):
        return [None if item is None else number(0)(item) for item in value]
    return number(0)(value)


def interval(value: Any) -> str | int | float:
    """Reads a `Length` and leaves it as it was written, so that the config stays plain data."""
    if isinstance(value, bool):
        return "1ep" if value else 0
    Length.parse(value)
    return value


def word(value: Any) -> str:
    """Reads any text; numbers count as text."""
    if isinstance(value, bool | list | dict):
        raise ValueError
    return str(value)


def count_or_full(value: Any) -> int | str:
    """Reads a whole number of at least 1, or the word `full`."""
    return "full" if value == "full" else integer(1)(value)


def folder_name(value: Any) -> str:
    """Reads a text that can be a part of a folder's name, beside a date and a number."""
    text = word(value)
    if text.strip() in ("", ".", "..") or "/" in text or len(text.encode()) > LONGEST_NAME:
        raise ValueError
    if any(category(letter) in ("Cc", "Zl", "Zp") for letter in text):
        raise ValueError
    return text


def holds_numbers(key: str) -> bool | None:
    """Whether a key holds numbers and nothing else but null; None of a key that is not reserved.

    A length may be `10` and `10%`, Adafactor's eps a number and a pair of them: these do not.

    Args:
        key: dotted.
    """
    field = FIELDS.get(key) or FIELDS.get(key.rsplit(".", 1)[-1])
    if field is None:
        return None
    return _reads(field, 0, 0.5, 1, 2) and not _reads(field, "10%", "full", "word", [1.0, 1.0])


def _reads(field: Field, *values: Any) -> bool:
    """Whether a field takes one of some values."""
    for value in values:
        with suppress(ValueError, TypeError):
            field.read(value)
            return True
    return False


_positive = "a positive number"
_at_least_one = "a whole number, at least 1"
MOST_THREADS = 4096
"""More than any machine has cores; far beyond it OpenMP ends the process without a word of ours."""
_share = "a number from 0 up to, but not including, 1"
_length = "a length: steps (100), epochs (5ep) or a part of the run (10%)"
_share_field = Field(number(0, 1, high_open=True), _share)
_count = Field(integer(1), _at_least_one)
_whole = Field(integer(0), "a whole number, at least 0")
_seed = Field(integer(0, 2**63 - 1), "a whole number from 0 to 2^63 - 1")
_not_negative = Field(number(0), "a number, at least 0")
_length_field = Field(interval, _length)

FIELDS: dict[str, Field] = {
    # how long, how much
    "epochs": Field(integer(1), _at_least_one, nullable=True),
    "steps": Field(integer(1), _at_least_one, nullable=True),
    "batch_size": Field(count_or_full, "a whole number, at least 1, or full"),
    "eval.batch_size": _count,
    "base_batch_size": _count,
    "accumulate": _count,
    "update_every": _count,
    "seed": _seed,
    "split_seed": _seed,
    "data_seed": _seed,
    "threads": Field(
        integer(1, MOST_THREADS), f"a whole number from 1 to {MOST_THREADS}", nullable=True
    ),
    "every": _length_field,
    "histograms": _length_field,
    "patience": _whole,
    "keep_last": Field(integer(2), "a whole number, at least 2"),
    "workers": _whole,
    # optimizers
    "lr": _not_negative,
    "weight_decay": _not_negative,
    "momentum": _share_field,
    "betas": Field(
        each(number(0, 1, high_open=True)), "numbers from 0 up to, not including, 1", True
    ),
    "eps": Field(eps, "a number, at least 0"),
    "etas": Field(each(number(0, low_open=True)), "a list of positive numbers", True),
    "step_sizes": Field(each(number(0, low_open=True)), "a list of positive numbers", True),
    "rho": Field(number(0, 1), "a number from 0 to 1"),
    "ema": _share_field,
    "clip.norm": Field(number(0, low_open=True), _positive, nullable=True),
    "clip.adaptive": Field(number(0, low_open=True), _positive, nullable=True),
    "layer_decay": Field(number(0, 1, low_open=True), "a number above 0, up to 1"),
    "clip.value": Field(number(0, low_open=True), _positive, nullable=True),
    # schedules
    "warmup_steps": _length_field,
    "warmup_start": Field(number(0, 1), "a number from 0 to 1"),
    "step_size": _length_field,
    "step_size_up": _length_field,
    "step_size_down": Field(interval, _length, nullable=True),
    "decay_steps": _length_field,
    "timescale": _length_field,
    "t_0": _length_field,
    "milestones": Field(each(interval), f"a list, each {_length}"),
    "min_ratio": Field(number(0, 1), "a number from 0 to 1"),
    "max_ratio": Field(number(1), "a number, at least 1"),
    "hyper_lr": Field(number(0), "a number, at least 0", nullable=True),
    "form": Field(one_of("multiplicative", "additive"), "multiplicative or additive"),
    # data and models
    "val_fraction": _share_field,
    "dropout": _share_field,
    "label_smoothing": _share_field,
    "hidden": Field(each(integer(1)), "a list of whole numbers, each at least 1"),
    "mean": Field(each(number()), "a list of numbers"),
    "std": Field(each(number(0, low_open=True)), "a list of positive numbers"),
    # closed lists
    "device": Field(one_of("auto", "cpu", "cuda"), "auto, cpu or cuda"),
    "warmup": Field(one_of("linear", "cosine"), "linear or cosine"),
    "shuffle": Field(one_of("epoch", "once", "none"), "epoch, once or none"),
    "scale_lr": Field(one_of("none", "linear", "sqrt"), "none, linear or sqrt"),
    "best_mode": Field(one_of("auto", "min", "max"), "auto, min or max"),
    "target.mode": Field(one_of("auto", "min", "max"), "auto, min or max"),
    "target.metric": Field(word, "a metric, or null", nullable=True),
    "target.value": Field(number(), "a number, or null", nullable=True),
    "target.source": Field(word, "a text, or null", nullable=True),
    "early_stopping.mode": Field(one_of("auto", "min", "max"), "auto, min or max"),
    "matmul": Field(one_of("highest", "high", "medium"), "highest, high or medium"),
    "nonfinite": Field(one_of("stop", "skip", "raise"), "stop, skip or raise"),
    "line_search_fn": Field(one_of("strong_wolfe"), "strong_wolfe or null", nullable=True),
    "decay": Field(
        one_of("own", "coupled", "decoupled", "independent"),
        "own, coupled, decoupled or independent",
    ),
    "implementation": Field(
        one_of("auto", "loop", "foreach", "fused", "compiled"),
        "auto, loop, foreach, fused or compiled",
    ),
    # texts that may be absent
    "name": Field(
        folder_name,
        f"a text for a folder's name: no /, no control characters, at most {LONGEST_NAME} bytes",
        nullable=True,
    ),
    "best": Field(word, "a metric, auto or null", nullable=True),
    "autocast": Field(word, "a torch dtype, or null", nullable=True),
    "resume": Field(word, "a run folder", nullable=True),
}

LENGTHS = frozenset(
    {
        "step_size",
        "step_size_up",
        "step_size_down",
        "decay_steps",
        "timescale",
        "every",
        "t_0",
        "milestones",
        "warmup_steps",
    }
)
"""The schedules' keys that are lengths of time."""
