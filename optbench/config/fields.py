"""The field's words: what each reserved configuration key may hold, wherever it stands.

A type follows from the default that stands in the YAML (see `conform`). This table adds what a
default cannot say: ranges, closed lists of words, fixed lengths, and the type behind a `null`.
What is a setting of the run, and of nothing else, stands in `run_config`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
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
    """Make a reader of finite floats inside an interval."""

    def read(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError
        found = float(value)
        if not math.isfinite(found) or found < low or found > high:
            raise ValueError
        if (low_open and found == low) or (high_open and found == high):
            raise ValueError
        return found

    return read


def integer(low: int, high: int = 2**53) -> Callable[[Any], int]:
    """Make a reader of whole numbers from `low` to `high`, by default where floats are exact."""

    def read(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
            raise ValueError
        if value < low or value > high:
            raise ValueError
        return int(value)

    return read


def one_of(*words: str) -> Callable[[Any], str]:
    """Make a reader of one of a closed list of words."""

    def read(value: Any) -> str:
        if value not in words:
            raise ValueError
        return str(value)

    read.words = words  # type: ignore[attr-defined]
    return read


def each(read: Callable[[Any], Any]) -> Callable[[Any], list[Any]]:
    """Make a reader of lists, every element by `read`."""

    def read_all(value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise ValueError
        return [read(item) for item in value]

    read_all.names = getattr(read, "names", ())  # type: ignore[attr-defined]
    return read_all


def eps(value: Any) -> float | list[float | None] | None:
    """Read a number of at least 0, or Adafactor's pair of them, of which one may be null."""
    if isinstance(value, list):
        return [None if item is None else number(0)(item) for item in value]
    return number(0)(value)


def interval(value: str | int | float) -> str | int | float:
    """Read a `Length` and leave it as it was written, so that the config stays plain data."""
    if isinstance(value, bool):
        return "1ep" if value else 0
    Length.parse(value)
    return value


def word(value: Any) -> str:
    """Read any text; numbers count as text."""
    if isinstance(value, bool | list | dict):
        raise ValueError
    return str(value)


def options(value: Any) -> dict[str, Any]:
    """Read names with a word, a number or true each."""
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise ValueError
    if not all(isinstance(each, str | int | float) for each in value.values()):
        raise ValueError
    return dict(value)


def sink(value: Any) -> str | dict[str, Any]:
    """Read a place for measurements to go: its name, or a mapping with a `_target_`."""
    if isinstance(value, Mapping):
        if not isinstance(value.get("_target_"), str):
            raise ValueError
        return {str(key): item for key, item in value.items()}
    if not isinstance(value, str):
        raise ValueError
    return value


sink.names = ("csv", "wandb", "mlflow")  # type: ignore[attr-defined]


def instrument(value: Any) -> str | dict[str, Any]:
    """Read an instrument: its name, a set's, or a mapping with a `_target_`."""
    return sink(value)


def rule(value: Any) -> dict[str, Any]:
    """Read a rule of the user's own: a mapping with a `_target_`."""
    if not isinstance(value, Mapping) or not isinstance(value.get("_target_"), str):
        raise ValueError
    return {str(key): item for key, item in value.items()}


def count_or_full(value: Any) -> int | str:
    """Read a whole number of at least 1, or the word `full`."""
    return "full" if value == "full" else integer(1)(value)


def auto_or_switch(value: Any) -> bool | str:
    """Return auto, or whether something is on."""
    if isinstance(value, bool):
        return value
    return one_of("auto")(value)


def population(value: Any) -> int | str:
    """Read a whole number of at least 2, or one of the words `auto` and `off`."""
    if value is False:  # what YAML makes of off
        return "off"
    return str(value) if value in ("auto", "off") else integer(2)(value)


def fold(value: Any) -> str:
    """Read one part of several, of which there are at least two: `2/5`."""
    number, slash, count = str(value).partition("/")
    if not slash or not (number.isascii() and number.isdecimal() and count.isascii()):
        raise ValueError
    if not count.isdecimal() or not 1 <= int(number) <= int(count) or int(count) < 2:
        raise ValueError
    return f"{int(number)}/{int(count)}"


def tag(value: Any) -> str:
    """Read a word that runs are found by: no spaces, commas or control characters in it."""
    text = "" if value is None else word(value)
    if not text or len(text.encode()) > LONGEST_NAME or any(letter in ",[]=" for letter in text):
        raise ValueError
    if any(letter.isspace() or category(letter) == "Cc" for letter in text):
        raise ValueError
    return text


def folder_name(value: Any) -> str:
    """Read a text that can be a part of a folder's name, beside a date and a number."""
    text = word(value)
    if text.strip() in ("", ".", "..") or "/" in text or len(text.encode()) > LONGEST_NAME:
        raise ValueError
    if any(category(letter) in ("Cc", "Zl", "Zp") for letter in text):
        raise ValueError
    return text


_positive = "a positive number"
_at_least_one = "a whole number, at least 1"
_share = "a number from 0 up to, but not including, 1"
_length = "a length: steps (100), epochs (5ep) or a part of the run (10%), at most 100%"
SHARE = Field(number(0, 1, high_open=True), _share)
COUNT = Field(integer(1), _at_least_one)
WHOLE = Field(integer(0), "a whole number, at least 0")
SEED = Field(integer(0, 2**63 - 1), "a whole number from 0 to 2^63 - 1")
NOT_NEGATIVE = Field(number(0), "a number, at least 0")
LENGTH = Field(interval, _length)
COUNT_OR_NULL = Field(integer(1), _at_least_one, nullable=True)
POSITIVE_OR_NULL = Field(number(0, low_open=True), _positive, nullable=True)
MODE = Field(one_of("auto", "min", "max"), "auto, min or max")

WORDS: dict[str, Field] = {
    # how long, how much
    "update_every": COUNT,
    "seed": SEED,
    "split_seed": SEED,
    "data_seed": SEED,
    "every": LENGTH,
    "patience": WHOLE,
    "workers": WHOLE,
    # optimizers
    "lr": NOT_NEGATIVE,
    "weight_decay": NOT_NEGATIVE,
    "momentum": SHARE,
    "betas": Field(
        each(number(0, 1, high_open=True)), "numbers from 0 up to, not including, 1", True
    ),
    "eps": Field(eps, "a number, at least 0"),
    "etas": Field(each(number(0, low_open=True)), "a list of positive numbers", True),
    "step_sizes": Field(each(number(0, low_open=True)), "a list of positive numbers", True),
    "delta": POSITIVE_OR_NULL,
    "rho": Field(number(0, 1), "a number from 0 to 1"),
    "layer_decay": Field(number(0, 1, low_open=True), "a number above 0, up to 1"),
    # schedules
    "warmup_steps": LENGTH,
    "warmup_start": Field(number(0, 1), "a number from 0 to 1"),
    "step_size": LENGTH,
    "step_size_up": LENGTH,
    "step_size_down": Field(interval, _length, nullable=True),
    "decay_steps": LENGTH,
    "timescale": LENGTH,
    "t_0": LENGTH,
    "milestones": Field(each(interval), f"a list, each {_length}"),
    "min_ratio": Field(number(0, 1), "a number from 0 to 1"),
    "max_ratio": Field(number(1), "a number, at least 1"),
    "hyper_lr": Field(number(0), "a number, at least 0", nullable=True),
    "form": Field(one_of("multiplicative", "additive"), "multiplicative or additive"),
    # data and models
    "val_fraction": SHARE,
    "fold": Field(fold, "such as 2/5, the second of five parts", nullable=True),
    "dropout": SHARE,
    "hidden": Field(each(integer(1)), "a list of whole numbers, each at least 1"),
    "mean": Field(each(number()), "a list of numbers"),
    "std": Field(each(number(0, low_open=True)), "a list of positive numbers"),
    # closed lists
    "warmup": Field(one_of("linear", "cosine"), "linear or cosine"),
    "line_search_fn": Field(one_of("strong_wolfe"), "strong_wolfe or null", nullable=True),
    "decay": Field(
        one_of("own", "coupled", "decoupled", "independent"),
        "own, coupled, decoupled or independent",
    ),
    "implementation": Field(
        one_of("auto", "loop", "foreach", "fused", "compiled"),
        "auto, loop, foreach, fused or compiled",
    ),
}

TEXT_OR_NULL = Field(word, "a text", nullable=True)

EXECUTOR: dict[str, Field] = {
    "executor.workers": COUNT_OR_NULL,
    "executor.threads": COUNT_OR_NULL,
    "executor.timeout": POSITIVE_OR_NULL,
    "executor.memory": POSITIVE_OR_NULL,
    # of SLURM
    "executor.cluster": Field(
        one_of("slurm", "local", "debug"), "slurm, local or debug", nullable=True
    ),
    "executor.partition": TEXT_OR_NULL,
    "executor.time": COUNT,
    "executor.jobs": COUNT,
    "executor.grace": COUNT,
    "executor.setup": Field(each(word), "a list of shell lines, such as ['module load cuda']"),
    "executor.options": Field(
        options, "options of sbatch, such as {account: mine, qos: high}", nullable=True
    ),
    # of Ray, and of SLURM, which takes whole numbers
    "executor.cpus": Field(number(0, low_open=True), _positive),
    "executor.gpus": NOT_NEGATIVE,
    "executor.address": TEXT_OR_NULL,
    "executor.connect_timeout": Field(number(0, low_open=True), _positive),
}
"""What is said of those who do a sweep's runs: no setting of a run."""

LENGTHS = frozenset(key for key, field in WORDS.items() if field.says.endswith(LENGTH.says))
"""The schedules' keys that are lengths of time."""
