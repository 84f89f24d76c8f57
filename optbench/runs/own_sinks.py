"""The sinks that `monitor.sinks` names: `csv`, `wandb`, `mlflow`, or a class of the user's own."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optbench.assemble.create import arguments, call, kind_of, locate, need
from optbench.assemble.data import wanted
from optbench.config.suggest import did_you_mean
from optbench.errors import UserError

if TYPE_CHECKING:
    from optbench.monitor.guarded import Guarded

CLASSES = {
    "csv": "optbench.monitor.csv_lines.CsvLines",
    "wandb": "optbench.monitor.wandb_sink.WeightsAndBiases",
    "mlflow": "optbench.monitor.mlflow_sink.MLflow",
}
PACKAGES = {"wandb": "wandb", "mlflow": "mlflow"}
"""What a sink needs beside optbench, by the extra that has it."""

Said = str | Mapping[str, Any]


def check_sinks(said: Sequence[Said]) -> None:
    """Check whether the sinks can be made, before a run has a folder.

    Raises:
        UserError: a class that is not there or takes other arguments, a package that is missing,
            a sink that is named twice.
    """
    for number, each in enumerate(said):
        key = f"monitor.sinks[{number}]"
        name, target = _target(each, key)
        if each in said[:number]:
            raise UserError(f"{key}={name}: it is named already, and would get each record twice")
        if name in PACKAGES:
            need(PACKAGES[name], name, f"{key}={name}")
        if inspect.isclass(target) and not hasattr(target, "write"):
            raise UserError(f"{key}._target_={name}: has no write(record)")
        try:
            signature = inspect.signature(target)
            signature.bind(**{**_known(target, Path(), "", {}, None), **_given(each, key)})
        except ValueError:  # of one in C nothing is known
            continue
        except TypeError as error:
            raise UserError(f"{key}={name}: {error}") from None


def make_sinks(
    said: Sequence[Said],
    folder: Path,
    config: Mapping[str, Any],
    resumed_at: int | None,
    warn: Callable[[str], None],
) -> list[Guarded]:
    """Make the sinks of a run; one that fails later says so once, and the run goes on.

    Args:
        said: `monitor.sinks`.
        folder: the run's; with the others of these a sink gets it if it asks for it by name.
        config: the run's, plain.
        resumed_at: the step that the run goes on from, None for a new one.
        warn: is told of failures.

    Raises:
        UserError: one can't be made.
    """
    from optbench.monitor.guarded import Guarded
    from optbench.training import rng

    made = []
    drawn = rng.capture() if said else {}
    for number, each in enumerate(said):
        key = f"monitor.sinks[{number}]"
        name, target = _target(each, key)
        known = _known(target, folder, str(config.get("name")), config, resumed_at)
        sink = call(target, f"{key}={name}", **{**known, **_given(each, key)})
        if not callable(getattr(sink, "write", None)):
            raise UserError(f"{key}._target_={name}: gives {kind_of(sink)} without write(record)")
        made.append(Guarded(sink, name, warn))
    if said:
        rng.restore(drawn)  # libraries draw as they are imported, and for names of runs
    return made


def _target(said: Said, key: str) -> tuple[str, Any]:
    """Return what a sink is called, and its class."""
    name = said if isinstance(said, str) else str(said["_target_"])
    if name not in CLASSES and "." not in name:
        raise UserError(f"{key}={name}: no such sink; {did_you_mean(name, CLASSES)}")
    return name, locate(CLASSES.get(name, name), f"{key}._target_")


def _given(said: Said, key: str) -> dict[str, Any]:
    return {} if isinstance(said, str) else arguments(said, key)


def _known(
    target: Any, folder: Path, name: str, config: Mapping[str, Any], resumed_at: int | None
) -> dict[str, Any]:
    """Return what of the run a sink asks for by name."""
    of_the_run = {"folder": folder, "name": name, "config": config, "resumed_at": resumed_at}
    return wanted(target, of_the_run)
