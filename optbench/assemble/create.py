"""An object from a node with a `_target_`."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
import sys
from collections.abc import Callable, Mapping
from functools import cache, partial, reduce
from pathlib import Path
from typing import Any

from optbench.assemble.own import LIBRARIES, module_of, told
from optbench.config.moved import now
from optbench.config.reading import plain_value
from optbench.config.suggest import nearest
from optbench.errors import UserError

EXTRAS = {
    "pytorch_optimizer": "; pip install 'optbench[zoo]'",
    "schedulefree": "; pip install 'optbench[zoo]'",
    "einops": "; pip install 'optbench[zoo]'",
}
"""Packages that are not always there, and where they come from."""


def need(package: str, extra: str, said: str) -> None:
    """Raise UserError where a package is missing that one of our extras has.

    Args:
        package: as it is imported.
        extra: its name.
        said: key and value that need it, for the message.
    """
    try:
        found = importlib.util.find_spec(package)
    except (ImportError, ValueError):  # whoever looks for modules may refuse this one
        found = None
    if found is None:
        raise UserError(
            f"{said}: needs {package}, which is missing; pip install 'optbench[{extra}]'"
        )


def locate(path: str, key: str) -> Any:
    """Return the class or function with this dotted path.

    Raises:
        UserError: there is none; `key` is named.
        OwnCodeError: a module of the user's own fails when it is imported.
    """
    parts = now(path).split(".")
    if parts[0] not in sys.modules:
        look_here_too()
    for cut in range(len(parts) - 1, 0, -1):
        if not all(parts):
            break
        module = _module(".".join(parts[:cut]), path, key)
        if module is None:
            continue
        try:
            found: Any = reduce(getattr, parts[cut:], module)
        except Exception:  # a module may look for names in ways of its own
            break
        if not callable(found):
            raise UserError(f"{key}={path}: expected a class or function, found {kind_of(found)}")
        return found
    raise UserError(f"{key}={path}: no such class or function; {_looked(parts)}")


def _looked(parts: list[str]) -> str:
    """Return where a dotted path was looked for, and where it ends."""
    if len(parts) < 2 or not all(parts):
        return "expected such as my.module.Class"
    names = [".".join(parts[:cut]) for cut in range(1, len(parts))]
    found = [name for name in names if name in sys.modules]
    if not found:
        return f"no module {parts[0]} in the current folder ({Path.cwd()}) or on Python's path"
    holder: Any = sys.modules[found[-1]]
    at, *rest = parts[found[-1].count(".") + 1 :]
    file = None if parts[0] in LIBRARIES else getattr(holder, "__file__", None)
    where = found[-1] + (f" ({file})" if file else "")
    if rest and hasattr(holder, at):
        return f"{at} of {where} has no {rest[0]}"
    near = nearest(at, [name for name in dir(holder) if not name.startswith("_")])
    return f"{where} has no {at}" + (f"; did you mean {near}?" if near else "")


def look_here_too() -> None:
    """Let the current folder's modules be imported, as `python -m` does."""
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)


def _module(name: str, path: str, key: str) -> Any:
    """Return a module by its dotted name; None if there is none."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name in EXTRAS or not (name + ".").startswith(f"{error.name}."):
            hint = EXTRAS.get(str(error.name), "")
            raise UserError(f"{key}={path}: needs {error.name}, which is missing{hint}") from error
        return None
    except (Exception, SystemExit) as error:
        raise told(error, f"{key}={path}: can't be imported", [name]) from error


def parameters_of(target: Any) -> Mapping[str, inspect.Parameter]:
    """Return what a class or function takes, by name; of some in C nothing is known."""
    stays = inspect.isclass(target) and target.__module__.startswith(("torch.", "optbench."))
    return _known_parameters(target) if stays else _parameters(target)


def _parameters(target: Any) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(target).parameters
    except (ValueError, TypeError):
        return {}


_known_parameters = cache(_parameters)


def kind_of(value: Any) -> str:
    """Return what something is, for messages."""
    return "nothing" if value is None else f"an object of {type(value).__name__}"


def arguments(node: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return a node's keyword arguments: its keys but `_..._`, with nested nodes created.

    Args:
        key: of the node, for messages.
    """
    return {k: _value(v, f"{key}.{k}") for k, v in node.items() if not k.startswith("_")}


def create(node: Mapping[str, Any], key: str, *positional: Any, **extra: Any) -> Any:
    """Call the node's `_target_` with its arguments; with `_partial_: true`, bind them only.

    Args:
        node: from the config.
        key: of the node, for messages.
        positional, extra: further arguments.

    Raises:
        UserError: no such target, or it refuses its arguments.
    """
    target = locate(str(node["_target_"]), f"{key}._target_")
    given = arguments(node, key) | extra
    if node.get("_partial_"):
        return partial(target, *positional, **given)
    return call(target, key, *positional, **given)


def call(target: Any, key: str, /, *positional: Any, **given: Any) -> Any:
    """Call a component.

    Raises:
        UserError: it does not take the arguments, or refuses their values.
        OwnCodeError: a class or function of the user's own fails otherwise.
    """
    return called(partial(target, *positional, **given), target, key, key)


def called(bound: Callable[[], Any], target: Any, key: str, at: str) -> Any:
    """Call a component that is bound to its arguments, which stand below the key `at`.

    Args:
        bound: calls it.
        target: the component itself.
        key: that led to it, for messages.

    Raises:
        UserError, OwnCodeError: see `call`.
    """
    try:
        return bound()
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        strange = _not_taken(error, target)
        if strange:
            raise UserError(f"{at}.{strange}") from error
        found = told(error, key, [module_of(target)], refuses=ValueError, at=at)
        texts = _texts(error, bound)
        raise (type(found)(f"{found} ({texts})") if texts else found) from error


def _texts(error: BaseException, bound: Callable[[], Any]) -> str:
    """Return which arguments are texts where an error is about one; empty where none is to blame.

    Args:
        bound: what failed, with its arguments.
    """
    if not isinstance(error, TypeError) or not re.search(r"\bstr\b", str(error)):
        return ""
    given = bound.keywords if isinstance(bound, partial) else {}
    texts = {name: value for name, value in given.items() if isinstance(value, str)}
    numbers = any(not isinstance(plain_value(value), str) for value in texts.values())
    said = ", ".join(f'{name} is the text "{value}"' for name, value in texts.items())
    return f"{said}; a number has no quotes" if numbers else said


def _not_taken(error: BaseException, target: Any) -> str:
    """Return an argument that a component does not have, and which was meant; empty if none is."""
    found = re.search(r"got an unexpected keyword argument '(\w+)'", str(error))
    known = [name for name in parameters_of(target) if name not in ("self", "params", "kwargs")]
    if not isinstance(error, TypeError) or not found or not known or found[1] in known:
        return ""
    near = nearest(found[1], known)
    hint = f"did you mean {near}?" if near else f"it takes {', '.join(known)}"
    return f"{found[1]}: no argument of {getattr(target, '__name__', target)}; {hint}"


def own_target(node: Mapping[str, Any], key: str) -> Any:
    """Return what a node of the choice `custom` names; raise UserError where that is nothing.

    Args:
        key: of the node, for messages.
    """
    path = node["_target_"]
    if not path:
        raise UserError(f"{key}._target_=null: which class? such as my.module.Class")
    return locate(str(path), f"{key}._target_")


def created(node: Mapping[str, Any], key: str, **extra: Any) -> Any:
    """Create what a node names that may be of `custom`, whose arguments stand in `arguments`."""
    target = own_target(node, key)
    more = {k: v for k, v in node.items() if k != "arguments" and k not in extra}
    at = f"{key}.arguments" if "arguments" in node else key
    if "arguments" in node:
        more |= given(node, at, "arguments")
    return called(partial(target, **{**arguments(more, key), **extra}), target, key, at)


def given(node: Mapping[str, Any], key: str, name: str) -> dict[str, Any]:
    """Return the arguments in a mapping of a node; create what has a `_target_` among them."""
    found = node.get(name) or {}
    if not isinstance(found, Mapping):
        raise UserError(f"{key}={found}: expected a mapping, such as {{name: value}}")
    for each in found:
        if str(each).startswith("_"):
            raise UserError(f"{key}.{each}: no argument begins with _")
    return arguments(found, key)


def _value(value: Any, key: str) -> Any:
    if isinstance(value, Mapping):
        if "_target_" in value:
            return create(value, key)
        return {name: _value(item, f"{key}.{name}") for name, item in value.items()}
    if isinstance(value, list):
        return [_value(item, f"{key}[{index}]") for index, item in enumerate(value)]
    return value
