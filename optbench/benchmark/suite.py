"""A suite: the workloads that optimizers are compared on. No torch.

A YAML of the group `suite` says it:

    source: ...                  # who says so
    overrides:                   # of every run
      monitor.tensorboard: false
    workloads:
      digits_mlp:                # as it stands
      fmnist_mlp:
        epochs: 4                # what is another here
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optbench.compose.quoting import value_text
from optbench.config.flow import flow
from optbench.config.suggest import did_you_mean
from optbench.errors import UserError

KEYS = ("source", "overrides", "workloads")
"""Of a suite's file."""
KEY = re.compile(r"[A-Za-z_][\w-]*(\.[\w-]+)*")
FIXED = ("seed", "eval.test", "workload", "optimizer")
"""What the benchmark itself says of its runs, with all that is below."""


@dataclass(frozen=True)
class Suite:
    """Workloads by name.

    Attributes:
        name: of its file; empty for a single problem of the command line's.
        workloads: the overrides of each.
        source: who says so.
    """

    name: str
    workloads: Mapping[str, Sequence[str]]
    source: str | None = None


def read_suite(plain: Any, name: str, known: Sequence[str]) -> Suite:
    """Read a suite from what stands in its file.

    Args:
        plain: the file as plain data.
        name: of the file.
        known: the workloads that there are.

    Raises:
        UserError: it is none; the key, what is wrong, and the nearest that would not be.
    """
    where = f"suite={name}"
    if not isinstance(plain, Mapping):
        raise UserError(f"{where}: expected a group of keys: {', '.join(KEYS)}")
    for key in plain:
        if key not in KEYS:
            raise UserError(f"{where}: {key}: no such key; {did_you_mean(str(key), KEYS)}")
    source, workloads = plain.get("source"), plain.get("workloads")
    if source is not None and not isinstance(source, str):
        raise UserError(f"{where}: source={flow(source)}: expected a text")
    if not isinstance(workloads, Mapping) or not workloads:
        raise UserError(f"{where}: workloads: expected some, each with its overrides or none")
    found: dict[str, list[str]] = {}
    every = _settings(plain.get("overrides"), f"{where}: overrides")
    for workload, said in workloads.items():
        if workload not in known:
            near = did_you_mean(str(workload), known)
            raise UserError(f"{where}: {workload}: no such workload; {near}")
        settings = {**every, **_settings(said, f"{where}: {workload}")}
        lines = [f"{key}={value_text(value)}" for key, value in settings.items()]
        found[str(workload)] = [f"workload={workload}", *lines]
    return Suite(name, found, source)


def _settings(said: Any, where: str) -> dict[str, Any]:
    if said is None:
        return {}
    if not isinstance(said, Mapping):
        raise UserError(f"{where}={flow(said)}: expected keys with values, such as epochs: 4")
    for key in said:
        if not isinstance(key, str) or not KEY.fullmatch(key):
            raise UserError(f"{where}: {key}: can't be a key; expected one such as model.hidden")
        fixed = next((each for each in FIXED if f"{key}.".startswith(f"{each}.")), None)
        if fixed is not None:
            raise UserError(f"{where}: {key}: not of a suite; the benchmark says it of its runs")
    return dict(said)
