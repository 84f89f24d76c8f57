"""The runs of a sweep: all combinations of the values that its overrides list."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hydra.core.override_parser.types import ChoiceSweep, Override, RangeSweep
from hydra.errors import HydraException

from optbench.compose import hydra_internals
from optbench.compose.quoting import value_text
from optbench.errors import UserError

MOST_RUNS = 10_000
"""Of a sweep: each one's config is composed and checked before the first begins."""
PARAMS = "hydra.sweeper.params"
"""Where Hydra's own sweeper has values too."""


def combinations(overrides: Sequence[Override]) -> list[list[str]]:
    """Return the overrides of each run, the last key changing fastest.

    Raises:
        UserError: an override that lists nothing, or no end of values; more runs than can be.
    """
    runs = 1
    for override in overrides:
        values = 1 if override.is_delete() else number_of_values(override)
        runs *= values
        if runs > MOST_RUNS:
            raise UserError(f"{override.input_line}: a sweep of {runs} runs; at most {MOST_RUNS}")
    drawn = random.getstate()
    random.seed(0)  # every rank, and every later time, shuffles the same way
    try:
        batches = hydra_internals.combinations(list(overrides))
    finally:
        random.setstate(drawn)
    return list(itertools.chain.from_iterable(batches))


def number_of_values(override: Override) -> int:
    """Return how many values an override lists, without making them; 1 if it is no sweep.

    Raises:
        UserError: none, or no end of them.
    """
    if not override.is_sweep_override():
        return 1
    line = override.input_line
    if override.is_interval_sweep():
        raise UserError(
            f"{line}: an interval lists no values; only a sweeper that samples takes it. "
            "Here choice(...) or range(start, stop, step)"
        )
    value = override.value()
    if isinstance(value, ChoiceSweep):
        count = len(value.list)
    elif isinstance(value, RangeSweep):
        count = _in_range(value, str(line))
    else:  # what a glob matches, which is choices of a group
        try:
            count = sum(1 for _ in override.sweep_string_iterator())
        except HydraException:
            count = 0
    if not count:
        raise UserError(f"{line}: lists no values")
    return count


def _in_range(sweep: RangeSweep, line: str) -> int:
    start, stop, step = float(sweep.start or 0), float(sweep.stop or 0), float(sweep.step or 0)
    if not all(map(math.isfinite, (start, stop, step))) or step == 0:
        raise UserError(f"{line}: expected a finite range with a step that is not 0")
    count = (stop - start) / step
    return 2**63 if count >= 2**63 else max(0, math.ceil(count))


def without_params(overrides: Sequence[str]) -> list[str]:
    """Return the overrides that Hydra is to compose: its sweeper's params are read here."""
    return [line for line in overrides if not is_param(line.lstrip("+").partition("=")[0])]


def params_of(overrides: Sequence[Override]) -> dict[str, Any]:
    """Return by key the sweeper's params of overrides, `hydra.sweeper.params={seed: "0,1"}`."""
    found: dict[str, Any] = {}
    for override in overrides:
        key = override.key_or_group
        if not is_param(key):
            continue
        typed = str(override.input_line).partition("=")[2]
        value: Any = typed if override.is_sweep_override() else override.value()
        own = key.removeprefix(PARAMS).lstrip(".")
        if not own and not isinstance(value, Mapping):
            raise UserError(f"{override.input_line}: expected keys and values, {{seed: '0,1'}}")
        found |= dict(_flat({own: value} if own else value))
    return found


def as_lines(params: Mapping[str, Any]) -> list[str]:
    """Return params as overrides: a text is in Hydra's grammar already, such as `0,1`."""
    return [
        f"{key}={value if isinstance(value, str) else value_text(value)}"
        for key, value in params.items()
    ]


def is_param(key: str) -> bool:
    """Return whether a key is of the sweeper's params."""
    return key == PARAMS or key.startswith(f"{PARAMS}.")


def is_of_sweeps(key: str) -> bool:
    """Return whether a key of Hydra's is of where a sweep's runs go, who chooses or starts them."""
    name = key.removeprefix("hydra").lstrip("./").partition(".")[0]
    return key.startswith("hydra") and name in ("sweep", "sweeper", "launcher")


def _flat(values: Mapping[Any, Any], at: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        name = f"{at}{key}"
        if isinstance(value, Mapping):
            yield from _flat(value, f"{name}.")
        else:
            yield name, value
