"""Instruments from their names, or from a user's own `_target_`."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from optbench.assemble.create import arguments, call, kind_of, locate, parameters_of
from optbench.config.suggest import did_you_mean
from optbench.errors import OwnCodeError, UserError
from optbench.instruments.base import Instrument
from optbench.instruments.names import CLASSES, SETS

Said = str | Mapping[str, Any]
KEY = "instruments"


def make_instruments(
    said: Sequence[Said],
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    common: Mapping[str, Any] | None = None,
    key: str = KEY,
) -> list[Instrument]:
    """Make instruments.

    Args:
        said: names, names of sets, `all`; a dotted path of a user's own class, or a mapping with
            its `_target_` and arguments.
        settings: arguments by instrument.
        common: arguments for those that have them, such as `examples`.
        key: where they are said, for messages.

    Raises:
        UserError: no such instrument, or arguments that one does not take.
    """
    own = {name: dict(given) for name, given in (settings or {}).items()}
    made = []
    for each in expanded(said, key):
        name = each if isinstance(each, str) else str(each["_target_"])
        target = locate(CLASSES.get(name, name), key)
        given = own.pop(name, {}) if isinstance(each, str) else arguments(each, key)
        takes = _taken(target)
        _check(name, given, takes)
        shared = {k: v for k, v in (common or {}).items() if k in takes}
        at = name if name in CLASSES else f"{key}={name}"
        below = f"{at}." if name in CLASSES and isinstance(each, str) else f"{at}: "
        instrument = _called(target, at, below, shared, given)
        for method in ("lacking", "measure"):
            if not callable(getattr(instrument, method, None)):
                raise UserError(f"{key}={name}: {kind_of(instrument)} has no {method}")
        made.append(instrument)
    for name, given in own.items():
        first = next(iter(given), "")
        raise UserError(f"{name}.{first}: {name} is not among {key}")
    return made


def _called(
    target: Any, at: str, below: str, shared: Mapping[str, Any], given: Mapping[str, Any]
) -> Any:
    """Call an instrument's class; of a value that it refuses, name the word that was typed.

    Args:
        target: the class.
        at: what it is called in messages.
        below: how a setting of its own begins.
        shared: what was said for all instruments.
        given: what was said for this one.
    """
    try:
        return call(target, at, **{**shared, **given})
    except OwnCodeError:
        raise
    except UserError as error:
        said = str(error).removeprefix(f"{at}: ")
        word = said.partition("=")[0]
        if word in given or word in shared:
            raise UserError(f"{below if word in given else ''}{said}") from error
        raise


def expanded(said: Sequence[Said], key: str = KEY) -> list[Said]:
    """Return what is named, sets and `all` in full, each once.

    Raises:
        UserError: no such instrument.
    """
    found: list[Said] = []
    for each in said:
        if not isinstance(each, str):
            if not isinstance(each, Mapping) or "_target_" not in each:
                raise UserError(f"{key}={each}: a name, or {{_target_: my.module.Class}}")
            found.append(each)
            continue
        if each not in CLASSES and each not in SETS and each != "all" and "." not in each:
            raise UserError(
                f"{key}={each}: no such instrument; {did_you_mean(each, [*CLASSES, *SETS, 'all'])}"
            )
        names = CLASSES if each == "all" else SETS.get(each, (each,))
        found += [name for name in names if name not in found]
    if not found:
        raise UserError(f"{key}=[]: which? {', '.join([*CLASSES, *SETS, 'all'])}")
    return found


def settings_of(name: str) -> list[str]:
    """Return what an instrument of optbench's may be told."""
    return sorted(_taken(locate(CLASSES[name], KEY)))


def _taken(target: Any) -> set[str]:
    """Return the names of what a class' constructor takes, those of its bases for its `**`."""
    kinds = inspect.Parameter
    found: set[str] = set()
    for each in target.__mro__ if inspect.isclass(target) else (target,):
        parameters = parameters_of(each).values()
        found |= {p.name for p in parameters if p.kind in (kinds.KEYWORD_ONLY, _EITHER)}
        if not any(p.kind is kinds.VAR_KEYWORD for p in parameters):
            break
    return found


_EITHER = inspect.Parameter.POSITIONAL_OR_KEYWORD


def _check(name: str, given: Iterable[str], takes: set[str]) -> None:
    for setting in given:
        if setting not in takes:
            hint = did_you_mean(setting, takes) if takes else "it has no settings"
            raise UserError(f"{name}.{setting}: no such setting of {name}; {hint}")
