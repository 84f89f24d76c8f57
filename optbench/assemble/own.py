"""What goes wrong inside code of the user's own, and what only seems to. No torch.

A value that a class refuses is bad input and told in a line. Any other error in the middle of a
user's own code is theirs to find, and keeps its traceback.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from optbench.assemble.wording import in_keys, names_key
from optbench.errors import ArgumentError, OwnCodeError, UserError, memory_wanting

LIBRARIES = ("optbench", "torch", "torchvision", "pytorch_optimizer", "schedulefree")
"""Whose insides are not the user's to mend."""


def module_of(target: Any) -> str:
    """Return the module that a class or function was written in."""
    return str(getattr(target, "__module__", "") or "")


def told(
    error: BaseException,
    where: str,
    modules: Iterable[str],
    refuses: type[Exception] | tuple[()] = (),
    at: str | None = None,
) -> UserError:
    """Return an exception for the user: one line, or, from their own code, with the traceback.

    Args:
        where: key, or key and value, that led there.
        modules: those in which the called code was written.
        refuses: what a class raises for a value that it does not want.
        at: the key that the arguments of the called code stand below, if there is one.
    """
    roots = {module.partition(".")[0] for module in modules} - {*LIBRARIES, ""}
    place = _innermost(error, roots)
    message = " ".join(str(error).split()).rstrip(".")
    name = type(error).__name__
    if (wanting := memory_wanting(error)) is not None:
        return UserError(f"{where}: {wanting}")
    if place is None and isinstance(error, ArgumentError):
        said = in_keys(error, at)
        return UserError(said if names_key(error, at) else f"{where}: {said}")
    if place is None and not isinstance(error, SyntaxError | SystemExit):
        plainly = isinstance(error, ValueError | TypeError | RuntimeError) and message
        return UserError(f"{where}: {message if plainly else f'{name}: {message}'.rstrip(': ')}")
    if isinstance(error, refuses):
        return UserError(f"{where}: {message or name} ({place}; OPTBENCH_TRACEBACK=1 shows all)")
    return OwnCodeError(f"{where}: {name}: {message}" + (f" ({place})" if place else ""))


def targets_in(plain: Any) -> list[str]:
    """Return the dotted paths of all classes and functions that a config names."""
    if isinstance(plain, Mapping):
        own = [str(plain["_target_"])] if plain.get("_target_") else []
        return own + [path for value in plain.values() for path in targets_in(value)]
    if isinstance(plain, list | tuple):
        return [path for value in plain for path in targets_in(value)]
    return []


@contextmanager
def own_code(where: str, plain: Any) -> Iterator[None]:
    """Raise OwnCodeError for what fails in the block inside code of the user's own.

    Args:
        where: what was done, for the message.
        plain: the config that names the code.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        targets = targets_in(plain)
        if not place_in(error, targets):
            raise
        raise told(error, where, targets) from error


def place_in(error: BaseException, modules: Iterable[str]) -> str:
    """Return ` (file:line)` of the last step of an error inside some modules, or nothing.

    Args:
        modules: dotted names, or what is in them; libraries' do not count.
    """
    roots = {module.partition(".")[0] for module in modules} - {*LIBRARIES, ""}
    place = _innermost(error, roots)
    return f" ({place})" if place else ""


def _innermost(error: BaseException, roots: set[str]) -> str | None:
    """Return file and line of the last step inside some modules, None if it was in none of them."""
    found = None
    for frame, line in traceback.walk_tb(error.__traceback__):
        module = str(frame.f_globals.get("__name__", ""))
        if module.partition(".")[0] in roots:
            found = f"{frame.f_code.co_filename}:{line}"
    return found
