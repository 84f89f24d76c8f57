"""What Hydra refuses, in one line that names the override and what it might have meant."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigTypeError, MissingMandatoryValue, OmegaConfBaseException
from yaml import YAMLError

from optbench.compose.files import GROUPS, OVERLAYS, ConfigFiles
from optbench.config.elsewhere import elsewhere
from optbench.config.keys import CALLED, children, find, meant, nearest_key
from optbench.config.libraries import choice_meant
from optbench.config.suggest import did_you_mean, nearest
from optbench.errors import UserError

MOST_CHOICES = 6
"""That are named as having a key."""


def explain(
    base: DictConfig, parsed: Sequence[Override], choices: Sequence[str], files: ConfigFiles
) -> str | None:
    """Return which override a config has no place for, and the nearest that it has one for.

    Args:
        base: the config without the overrides that set values.
        parsed: all overrides.
        choices: keys of those that choose a file.
        files: knows the choices that have a key.
    """
    for override in parsed:
        key = override.key_or_group
        if key in choices or override.package is not None or key.startswith("hydra/"):
            continue
        if key.startswith("hydra."):
            problem = _of_hydra(base, key, value_of(override))
            if problem and not override.is_add():
                return f"{override.input_line}: {problem}"
            continue
        if override.is_add() and _has(base, key):
            return f"{override.input_line}: it is there already; leave out the +"
        if override.is_add() or not _has(base, key):
            problem = _unknown_key(base, key, value_of(override), files)
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


def _of_hydra(base: DictConfig, key: str, value: Any) -> str | None:
    """Return what a key of Hydra's own might have meant; None for one that it has."""
    config, own = find(plain(base), "hydra"), key.removeprefix("hydra.")
    node = config
    for part in own.split("."):
        if not isinstance(node, dict) or not node:  # it may have any
            return None
        if part not in node:
            return f"no such key; {meant(own, value, config, 'hydra')}"
        node = node[part]
    return None


def _unknown_key(base: DictConfig, key: str, value: Any, files: ConfigFiles) -> str | None:
    parent, _, last = key.rpartition(".")
    node = OmegaConf.select(base, parent) if parent else base
    if isinstance(node, DictConfig):
        if last in node:
            return None
        if "arguments" in node and nearest_key(last, value, plain(node)) is None:
            return f"no such key; write '{parent}.arguments={{{last}: ...}}'"
        named = _as_choice(parent, last, value, files)
        if named:
            return f"no such key; {named}"
        elsewhere_in = _other_choices(base, key, value, files)
        if elsewhere_in:
            return elsewhere_in
        if parent and not children(node):
            return f"{parent} takes no keys here"
        hint = None if parent else elsewhere(key, value)
        known = plain(base) if parent else {**plain(base), **dict.fromkeys(OVERLAYS)}
        return f"no such key; {hint or meant(key, value, known)}"
    if parent and node is None and re.search(MAPPINGS, parent) and _has(base, parent):
        return f"{parent} is null, and has no keys yet; write '{parent}={{{last}: ...}}'"
    if parent and _has(base, parent):
        return f"{parent} takes no keys"
    return f"no such key; {meant(key, value, plain(base))}"


NAMES = ("name", "type", "kind")
"""Keys under which other programs have the choice of a group."""


def _as_choice(parent: str, last: str, value: Any, files: ConfigFiles) -> str | None:
    """Return the choice that is meant by `dataset.name=mnist`, or what says how one is made."""
    if parent not in GROUPS or last not in NAMES:
        return None
    hint = choice_meant(parent, str(value), files.options(parent))
    match = re.fullmatch(r"did you mean (\S+)\?", hint)
    if match and "=" not in match[1]:
        return f"did you mean {parent}={match[1]}?"
    return hint if match or "=" in hint else f"write {parent}=NAME; {hint}"


def _other_choices(base: DictConfig, key: str, value: Any, files: ConfigFiles) -> str | None:
    """Return which other choices of its group have a key that the chosen one lacks."""
    parent, _, last = key.rpartition(".")
    if parent not in GROUPS:
        return None
    own = children(OmegaConf.select(base, parent))
    others, called = files.having(parent, last), ""
    if nearest(last, own, cutoff=0.85) is not None:
        return None
    said = f"{parent}={base.hydra.runtime.choices[parent]} has no such key;"
    alias = next((name for name in own if last in CALLED.get(name, ())), None)
    if alias is not None:
        hint = meant(key, value, plain(base))
        if not others or "[" not in hint:
            return f"{said} {hint}"
        said += f" {hint}"
    if not others and nearest_key(key, value, plain(base)) is None:
        called = next((name for name, words in CALLED.items() if last in words), "")
        others = files.having(parent, called) if called else []
    if not others:
        return None
    names = ", ".join(others[:MOST_CHOICES]) + (", ..." if others[MOST_CHOICES:] else "")
    it = f"it, as {called}" if called else last if alias else "it"
    return f"{said} {parent}={names} {'has' if len(others) == 1 else 'have'} {it}"


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
    other = re.match(r"Could not override '([^']*)'\. No match in the defaults list", text)
    if other:
        return f"no such group; {meant(other[1], None, dict.fromkeys(GROUPS))}"
    missing = re.search(r"Could not find '(\w+)/([^']*)' Available options in '\w+': (.*)", text)
    if missing:
        group, name, options = missing.groups()
        return f"{group}={name}: no such {group}; {did_you_mean(name, options.split())}"
    lacking = re.fullmatch(r"Key '(.*)' is not in struct", text)
    if lacking:
        return f"there is no key {lacking[1]}; arguments of a class are in arguments={{...}}"
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


@contextmanager
def quoting(typed: Sequence[str]) -> Iterator[None]:
    """Let an error name a number that is too large for a float, 1e400, as it was typed."""
    try:
        yield
    except UserError as error:
        key, infinite, rest = str(error).partition("=inf: ")
        said = [line for line in typed if line.lstrip("+~").startswith(f"{key}=")]
        if not infinite or not said:
            raise
        raise UserError(f"{said[-1].lstrip('+~')}: {rest}") from error
