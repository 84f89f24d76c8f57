"""What configs may ask for in `${...}`."""

from __future__ import annotations

import os
from pathlib import Path

from omegaconf import OmegaConf

from optbench.launched import launched_ranks


def register_resolvers() -> None:
    """Register `${cache_folder:}`, `${world_size:}` and `${world_size:32}`, 32 times the ranks."""
    OmegaConf.register_new_resolver("cache_folder", _cache_folder, replace=True)
    OmegaConf.register_new_resolver("world_size", _world_size, replace=True)


def _cache_folder() -> str:
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return str(Path(base).expanduser() / "optbench")


def _world_size(times: int = 1) -> int:
    return int(times) * launched_ranks()
