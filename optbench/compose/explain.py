"""What Hydra refuses, in one line that names the override and what it might have meant."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigTypeError, MissingMandatoryValue, OmegaConfBaseException
from yaml import YAMLError

from optbench.config.keys import children, find, meant, nearest_key
from optbench.config.suggest import nearest

MOST_CHOICES = 6
"""That are named as having a key."""

HasKey = Callable[[str, str], list[str]]
"""From a group and a key to the choices of the group that have it."""


def explain(
    base: DictConfig, parsed: Sequence[Override], choices: Sequence[str], having: HasKey
) -> str | None:
    """Return which override a config has no place for, and the nearest that it has one for.

    Args:
        base: the config without the overrides that set values.
        parsed: all overrides.
        choices: keys of those that choose a file.
        having: finds the choices that have a key.
    """
    for override in parsed:
        key = override.key_or_group
        if key in choices or override.package is not None or key.startswith("hydra"):
            continue
        if override.is_add() and _has(base, key):
            return f"{override.input_line}: it is there already; leave out the +"
        if override.is_add() or not _has(base, key):
            problem = _unknown_key(base, key, value_of(override), having)
            if problem:
                return f"{override.input_line}: {problem}"
            continue
        default, value = find(plain(base), key), value_of(override)
        if isinstance(default, list) and isinstance(value, dict):
            typed = str(override.input_line).partition("=")[2]
            return f"{override.input_line}: expected a list; in brackets: '{key}=[{typed}]'"
        if isinstance(default, dict) and isinstance(value, list):
            return f"{override.input_line}: not valid; expected a group of keys"
    return None


def value_of(override: Override) -> Any:
    """Return the value of an override as plain data; None where there is none or several."""
    return None if override.is_sweep_override() or override.is_delete() else override.value()


MAPPINGS = r"(_schedule|\.arguments)$"
"""Keys that are null until they are given whole, with keys of their own."""


def _unknown_key(base: DictConfig, key: str, value: Any, having: HasKey) -> str | None:
    parent, _, last = key.rpartition(".")
    node = OmegaConf.select(base, parent) if parent else base
    if isinstance(node, DictConfig):
        if last in node:
            return None
        if "arguments" in node and nearest_key(last, value, plain(node)) is None:
            return f"no such key; write '{parent}.arguments={{{last}: ...}}'"
        others = having(parent, last)
        if others and nearest(last, children(node), cutoff=0.85) is None:
            names = ", ".join(others[:MOST_CHOICES]) + (", ..." if others[MOST_CHOICES:] else "")
            return f"no such key here; {parent}={names} {'has' if len(others) == 1 else 'have'} it"
        if parent and not children(node):
            return f"{parent} takes no keys here"
        return f"no such key; {meant(key, value, plain(base))}"
    if parent and node is None and re.search(MAPPINGS, parent) and _has(base, parent):
        return f"{parent} is null, and has no keys yet; write '{parent}={{{last}: ...}}'"
    if parent and _has(base, parent):
        return f"{parent} takes no keys"
    return f"no such key; {meant(key, value, plain(base))}"


def plain(cfg: DictConfig) -> dict[str, Any]:
    """Return a config as plain data, as it is written."""
    found = OmegaConf.to_container(cfg, resolve=False)
    assert isinstance(found, dict)
    return {str(key): value for key, value in found.items()}


def _has(cfg: DictConfig, key: str) -> bool:
    missing = object()
    try:
        return OmegaConf.select(cfg, key, default=missing) is not missing
    except (ConfigTypeError, ValueError):  # a word for the place in a list
        return False
    except OmegaConfBaseException:
        return True


def first_line(error: BaseException) -> str:
    """Return the innermost message, on one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, RecursionError):
        return "it goes round in a circle, or is nested too deeply"
    if not isinstance(error, HydraException | OmegaConfBaseException | YAMLError | ValueError):
        return "nothing that can be set here"  # they trip over it: the message would be of theirs
    text = re.sub(r"\s+", " ", str(error).split("\n    full_key")[0]).strip()
    text = text.partition(" Config search path:")[0].rstrip(".")
    return text or type(error).__name__


def unresolved(cfg: DictConfig, keys: Sequence[str]) -> str:
    """Return which value under some keys can't be made of what it refers to, and why."""
    for key in keys:
        raw = OmegaConf.to_container(cfg, resolve=False, throw_on_missing=False)
        assert isinstance(raw, dict)
        for path, text in _references(raw.get(key), key):
            try:
                _resolve(cfg, path)
            except Exception as error:
                return f"{path}={text}: {_why(error, cfg)}"
    return "config: not to be resolved"


def _references(value: Any, at: str) -> Iterator[tuple[str, str]]:
    """Yield dotted keys and texts of all interpolations."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _references(item, f"{at}.{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _references(item, f"{at}[{index}]")
    elif isinstance(value, str) and ("${" in value or value == "???"):
        yield at, value


def _resolve(cfg: DictConfig, path: str) -> None:
    found = OmegaConf.select(cfg, path, throw_on_missing=True)
    if OmegaConf.is_config(found):
        OmegaConf.to_container(found, resolve=True, throw_on_missing=True)


def _why(error: BaseException, cfg: DictConfig) -> str:
    if isinstance(error, MissingMandatoryValue):
        return "has to be given"
    text = first_line(error)
    variable = re.search(r"Environment variable '(.*)' not found", text)
    if variable:
        name = variable[1]
        return f"no environment variable {name}; with a default: ${{oc.env:{name},0.1}}"
    key = re.search(r"Interpolation key '(.*)' not found", text)
    if key:
        hint = f"; {meant(key[1], None, plain(cfg))}" if "optimizer" in cfg else ""
        return f"no such key: {key[1]}{hint}"
    return re.sub(r"^\w+ raised while resolving interpolation: ", "", text)
