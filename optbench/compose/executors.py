"""Who does a sweep's runs, from the command line: `executor=local executor.workers=2`.

It is of the sweep, not of its runs: their configs are the same whoever does them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hydra.core.override_parser.types import Override

from optbench.config.conform import conform
from optbench.config.suggest import did_you_mean
from optbench.errors import UserError

if TYPE_CHECKING:
    from optbench.compose.composer import Composer

GROUP = "executor"
SERIAL = "serial"


@dataclass(frozen=True)
class ExecutorChoice:
    """An executor as the command line has it.

    Attributes:
        name: its file in the group.
        node: `_target_` and arguments, checked against the file.
        lines: the overrides that say it.
    """

    name: str = SERIAL
    node: Mapping[str, Any] = field(default_factory=dict)
    lines: Sequence[str] = ()


def without_executor(
    composer: Composer, overrides: Sequence[str]
) -> tuple[ExecutorChoice, list[str]]:
    """Return who does the runs, and the overrides that are of the runs.

    Raises:
        UserError: no such executor, a setting that it does not have, several values.
    """
    own: list[Override] = []
    rest: list[str] = []
    for line in overrides:
        key = line.lstrip("+~").partition("=")[0].partition("@")[0]
        if key != GROUP and not key.startswith(f"{GROUP}."):
            rest.append(line)
            continue
        (override,) = composer.parse([line])
        if override.is_sweep_override():
            raise UserError(f"{line}: one executor does all runs")
        if override.is_add() or override.is_delete() or override.package is not None:
            raise UserError(f"{line}: write {GROUP}=NAME and {GROUP}.KEY=VALUE")
        own.append(override)
    return _choice(composer, own), rest


def _choice(composer: Composer, own: Sequence[Override]) -> ExecutorChoice:
    options = composer.files.options(GROUP)
    name = SERIAL
    for override in own:
        if override.key_or_group == GROUP:
            name = str(override.value())
            if name not in options:
                near = did_you_mean(name, options)
                raise UserError(f"{override.input_line}: no such executor; {near}")
    written = composer.files.file(GROUP, name)
    settings = [override for override in own if override.key_or_group != GROUP]
    given: dict[str, Any] = {}
    for override in settings:
        _, _, key = override.key_or_group.partition(".")
        if name == SERIAL:
            raise UserError(
                f"{override.input_line}: {GROUP}=serial, the default, has no settings; write "
                f"{GROUP}=local {override.input_line}"
            )
        if "." in key:
            raise UserError(f"{override.input_line}: {GROUP}.{key.partition('.')[0]} has no keys")
        given[key] = override.value()
    lines = [str(override.input_line) for override in own]
    return ExecutorChoice(name, {**written, **conform(given, written, GROUP)}, lines)


def gone_on_with(planned: Sequence[str], overrides: Sequence[str]) -> list[str]:
    """Return the overrides for going on with a sweep: by who began it, unless another is named.

    Args:
        planned: the overrides that said who does the runs.
        overrides: what is said now.
    """
    named = any(line.lstrip("+~").partition("=")[0] == GROUP for line in overrides)
    return [*([] if named else planned), *overrides]


def refuse_executor(overrides: Sequence[str], instead: str) -> None:
    """Raise UserError where an executor is named, and there is one run; `instead`: what is."""
    for line in overrides:
        if line.lstrip("+~").partition("=")[0].partition(".")[0] == GROUP:
            raise UserError(f"{line}: {instead}")
