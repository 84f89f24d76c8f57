"""What configs may ask for in `${...}`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from omegaconf import OmegaConf

from optbench.errors import UserError
from optbench.launched import launched_ranks

SHELLS = ("bash", "fish", "zsh")
"""That Hydra completes for."""


def register_resolvers() -> None:
    """Register `${data_folder:}`, `${world_size:}` and `${world_size:32}`, 32 times the ranks."""
    OmegaConf.register_new_resolver("data_folder", _data_folder, replace=True)
    OmegaConf.register_new_resolver("cache_folder", _cache_folder, replace=True)
    OmegaConf.register_new_resolver("world_size", _world_size, replace=True)


def check_shell(words: Sequence[str]) -> None:
    """Refuse what completion can't be asked, and shells that Hydra has none for.

    Args:
        words: `-sc`, and what is asked.
    """
    if len(words) != 2 or words[1].partition("=")[0] not in ("install", "uninstall", "query"):
        raise UserError(f"{' '.join(words)}: expected {words[0]} install={'|'.join(SHELLS)}")
    shell = words[1].partition("=")[2]
    if shell not in SHELLS:
        raise UserError(f"-sc {words[1]}: no such shell; choose from {', '.join(SHELLS)}")


def _data_folder() -> str:
    """Return what OPTBENCH_DATA names; unset or empty, the user's cache folder."""
    return os.environ.get("OPTBENCH_DATA") or _cache_folder()


def _cache_folder() -> str:
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return str(Path(base).expanduser() / "optbench")


def _world_size(times: int = 1) -> int:
    return int(times) * launched_ranks()
