"""The measure of a claim: ours by name, a user's own by its dotted path."""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Callable, Mapping
from typing import Any

from optbench import claims
from optbench.assemble.create import call, kind_of, locate
from optbench.assemble.own import module_of
from optbench.claims import measures
from optbench.claims.claim import Claim
from optbench.claims.found import Found
from optbench.claims.measured import Measured
from optbench.config.identity import digest
from optbench.config.suggest import did_you_mean
from optbench.errors import UserError


def names_of_measures() -> list[str]:
    """Return our own measures: the modules of `claims/measures`."""
    return sorted(each.name for each in pkgutil.iter_modules(measures.__path__))


def function_of(claim: Claim) -> Callable[..., Any]:
    """Return the function that measures.

    Raises:
        UserError: there is none of this name; a setting that it does not have.
    """
    name = str(claim.measure["name"])
    where = f"claim={claim.name}: measure"
    if "." not in name:
        known = names_of_measures()
        if name not in known:
            raise UserError(f"{where}: {name}: no such measure; {did_you_mean(name, known)}")
        name = f"{measures.__name__}.{name}.measure"
    found: Callable[..., Any] = locate(name, where)
    _check_settings(found, settings_of(claim), f"{where}: {claim.measure['name']}")
    return found


def settings_of(claim: Claim) -> dict[str, Any]:
    """Return a measure's settings."""
    return {key: value for key, value in claim.measure.items() if key != "name"}


def _check_settings(function: Callable[..., Any], given: Mapping[str, Any], where: str) -> None:
    try:
        parameters = list(inspect.signature(function).parameters.values())[1:]
    except (ValueError, TypeError):
        return
    if any(each.kind == each.VAR_KEYWORD for each in parameters):
        return
    known = [each.name for each in parameters]
    for key in given:
        if key not in known:
            near = did_you_mean(key, known) if known else "it has none"
            raise UserError(f"{where}: {key}: no such setting; {near}")
    for each in parameters:
        if each.default is each.empty and each.name not in given:
            raise UserError(f"{where}: it has no {each.name}")


def code_hash(function: Callable[..., Any]) -> str:
    """Return a hash of the module that a measure stands in; what is measured changes with it.

    So do those of the claims' own modules that it takes something from.
    """
    module = inspect.getmodule(function)
    taken = {inspect.getmodule(value) for value in vars(module).values()} if module else set()
    ours = {each for each in taken if each and each.__name__.startswith(f"{claims.__name__}.")}
    try:
        return digest(
            [inspect.getsource(each) for each in sorted({module or function, *ours}, key=str)]
        )
    except (OSError, TypeError):
        return ""


def measured(claim: Claim, found: Found) -> Measured:
    """Return what the measure gives of what was run.

    Raises:
        UserError: it refuses its settings, or gives nothing that could be judged.
        OwnCodeError: a user's own measure fails.
    """
    function = function_of(claim)
    where = f"claim={claim.name}: measure"
    gives = call(function, where, found, **settings_of(claim))
    if not isinstance(gives, Measured):
        own = f"{module_of(function)}.{getattr(function, '__name__', '')}"
        raise UserError(f"{where}: {own}: gives {kind_of(gives)}, not a Measured")
    if not gives.values:
        raise UserError(f"{where}: it gives no value")
    return gives
