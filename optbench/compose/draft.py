"""A composed config on its way to a run, as Hydra has it and as plain data."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf, open_dict

from optbench.compose import hydra_internals
from optbench.compose.explain import plain


@dataclass(frozen=True)
class Draft:
    """A composed config that is still to be checked.

    Attributes:
        cfg: as Hydra has it.
        same: plain data of its keys that nothing has changed and that refer to nothing.
    """

    cfg: DictConfig
    same: Mapping[str, Any] = field(default_factory=dict)

    def has(self, key: str) -> bool:
        """Return whether something stands at a key, if only `${...}`."""
        return _as_written(_nodes(self.cfg).get(key)) is not None

    def written(self) -> dict[str, Any]:
        """Return it as plain data with `${...}` in it, to be read only."""
        return {
            key: self.same[key] if key in self.same else _as_written(node)
            for key, node in _nodes(self.cfg).items()
            if key != "hydra"
        }

    def resolved(self) -> dict[str, Any]:
        """Return it as plain data without `${...}`, of nobody else's."""
        return {
            key: copied(self.same[key]) if key in self.same else _resolved(self.cfg, key)
            for key in own_keys(self.cfg)
        }


class Base:
    """The config of some chosen files, from which the drafts of many runs are made, one at a time.

    All drafts are the same config: of what the last run has changed, the next one gets a new copy,
    and nothing else is copied, made plain or resolved again. A value changes no other key than its
    own: what is set below a `${...}` takes its place, and leaves what it refers to as it was.

    Args:
        cfg: the config, without Hydra's node; the base's own from now on.
        changed: the keys that a run may change whatever its values.
    """

    def __init__(self, cfg: DictConfig, changed: Iterable[str]) -> None:
        OmegaConf.set_struct(cfg, True)
        self._cfg, self._kept = cfg, _nodes(copy.deepcopy(cfg))
        self._written = plain(cfg)
        self._always = frozenset(changed)
        self._referring = {key for key, value in self._written.items() if _refers(value)}
        self._stale: frozenset[str] = frozenset()

    def draft(self, values: Sequence[Override]) -> Draft:
        """Return a draft with these values, good until the next one; raise as Hydra does."""
        changed = self._always.union(re.split(r"[.\[]", o.key_or_group)[0] for o in values)
        with open_dict(self._cfg):
            for key in self._stale:
                if key in self._kept:
                    self._cfg[key] = self._kept[key]  # a copy
                else:
                    self._cfg.pop(key, None)
        self._stale = changed
        OmegaConf.clear_cache(self._cfg)  # what resolvers gave for another run
        hydra_internals.apply(list(values), self._cfg)
        anew = changed | self._referring
        return Draft(self._cfg, {k: v for k, v in self._written.items() if k not in anew})


def own_keys(cfg: DictConfig) -> list[str]:
    """Return a config's keys without Hydra's own."""
    return [str(key) for key in cfg if key != "hydra"]


def copied(value: Any) -> Any:
    """Return plain data that shares nothing with what it is a copy of."""
    if isinstance(value, dict):
        return {key: copied(item) for key, item in value.items()}
    return list(map(copied, value)) if isinstance(value, list) else value


def _refers(value: Any) -> bool:
    """Return whether plain data is other than it is written: refers to something, or is missing."""
    return "${" in str(value) or value == "???"


def _nodes(cfg: DictConfig) -> dict[str, Any]:
    return {str(key): node for key, node in cfg.items_ex(resolve=False)}


def _as_written(node: Any) -> Any:
    return OmegaConf.to_container(node, resolve=False) if OmegaConf.is_config(node) else node


def _resolved(cfg: DictConfig, key: str) -> Any:
    value = cfg[key]
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
