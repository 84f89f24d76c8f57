"""What Hydra refuses, in one line that names the override and what it might have meant."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from optbench.config.suggest import did_you_mean


def explain(base: DictConfig, parsed: Sequence[Override], choices: Sequence[str]) -> str | None:
    """Which override a config has no place for, and the nearest that it has one for.

    Args:
        base: the config without the overrides that set values.
        parsed: all overrides.
        choices: keys of those that choose a file.
    """
    for override in parsed:
        key = override.key_or_group
        if key in choices or override.package is not None or key.startswith("hydra"):
            continue
        if override.is_add() and _has(base, key):
            return f"{override.input_line}: it is there already; leave out the +"
        if override.is_add() or not _has(base, key):
            problem = _unknown_key(base, key)
            if problem:
                return f"{override.input_line}: {problem}"
    return None


MAPPINGS = r"(_schedule|\.arguments)$"
"""Keys that are null until they are given whole, with keys of their own."""


def _unknown_key(base: DictConfig, key: str) -> str | None:
    parent, _, last = key.rpartition(".")
    node = OmegaConf.select(base, parent) if parent else base
    if isinstance(node, DictConfig):
        if last in node:
            return None
        keys = [str(k) for k in node if not str(k).startswith("_") and k != "hydra"]
        if not keys and parent:
            return f"{parent} takes no keys here"
        inside = [
            f"{k}.{last}" for k in keys if isinstance(node[k], DictConfig) and last in node[k]
        ]
        if inside:
            return f"no such key; did you mean {inside[0]}?"
        return f"no such key; {did_you_mean(last, keys)}"
    if parent and node is None and re.search(MAPPINGS, parent) and _has(base, parent):
        return f"{parent} is null, and has no keys yet; write '{parent}={{{last}: ...}}'"
    if parent:
        return _unknown_key(base, parent) or f"{parent} takes no keys"
    return None


def _has(cfg: DictConfig, key: str) -> bool:
    missing = object()
    try:
        return OmegaConf.select(cfg, key, default=missing) is not missing
    except OmegaConfBaseException:
        return True


def first_line(error: BaseException) -> str:
    """The innermost message, on one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    text = re.sub(r"\s+", " ", str(error).split("\n    full_key")[0]).strip()
    return text or type(error).__name__
