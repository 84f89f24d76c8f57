"""Every name of `hydra._internal`, and every private one elsewhere in Hydra, that we use.

Hydra's public face runs a function from a command line. What we need besides, its flags, its grid
of overrides, overrides put into a config that is composed, is not in it; pyproject.toml therefore
holds Hydra at one minor version.
"""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from hydra._internal import config_loader_impl
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import ConfigRepository
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra._internal.utils import get_args_parser
from hydra.core.config_loader import ConfigLoader
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.override_parser.types import ChoiceSweep, Override, Sweep
from omegaconf import DictConfig


class FolderOfConfigs(FileConfigSource):
    """A folder of config files, as Hydra reads one."""

    def file_of(self, config_path: str) -> Path:
        """Return where a config lies, with its suffix whether or not it was given."""
        return Path(self.path, self._normalize_file_name(config_path))


class FoldersOfConfigs(ConfigRepository):
    """All that a loader reads configs from, folders of files by a class of ours."""

    read_by: type[FolderOfConfigs] = FolderOfConfigs

    def initialize_sources(self, config_search_path: ConfigSearchPath) -> None:
        """Find what a search path names."""
        super().initialize_sources(config_search_path)
        for at, source in enumerate(self.sources):
            if source.scheme() == FolderOfConfigs.scheme():
                self.sources[at] = self.read_by(source.provider, source.path)


@contextmanager
def loaders_reading(folders: type[FoldersOfConfigs]) -> Iterator[None]:
    """Let loaders that Hydra makes meanwhile read by a class of ours."""
    made_of, name = vars(config_loader_impl), ConfigRepository.__name__
    made_of[name] = folders
    try:
        yield
    finally:
        made_of[name] = ConfigRepository


def flags() -> ArgumentParser:
    """Return the parser of Hydra's flags."""
    parser: ArgumentParser = get_args_parser()
    return parser


def apply(overrides: list[Override], config: DictConfig) -> None:
    """Put overrides of values into a config that is composed, in place."""
    ConfigLoaderImpl._apply_overrides_to_config(overrides, config)


def combinations(overrides: list[Override]) -> list[list[list[str]]]:
    """Return all combinations of the values that overrides list, in batches."""
    spelled = list(map(_spelled, overrides))
    batches: list[list[list[str]]] = BasicSweeper.split_arguments(spelled, None)
    return batches


def _spelled(override: Override) -> Override:
    """Return an override whose booleans are spelled as in YAML; Hydra would write Python's."""
    value = override._value
    if isinstance(value, ChoiceSweep):
        return replace(override, _value=replace(value, list=_lower(value.list)))
    return override if isinstance(value, Sweep) else replace(override, _value=_lower(value))


def _lower(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {_lower(key): _lower(item) for key, item in value.items()}
    if isinstance(value, list):
        return list(map(_lower, value))
    return str(value).lower() if isinstance(value, bool) else value


def repository(loader: ConfigLoader) -> Any:
    """Return what a loader reads configs from; all that it has of itself copies it every time."""
    return loader.repository  # type: ignore[attr-defined]


def read_from(loader: ConfigLoader, folders: FoldersOfConfigs) -> None:
    """Let a loader read configs from there."""
    loader.repository = folders  # type: ignore[attr-defined]


def callbacks(config: DictConfig) -> Any:
    """Return the callbacks that a config names, as launchers want them."""
    from hydra._internal.callbacks import Callbacks

    return Callbacks(config)


def what_a_job_returned(returned: Any) -> Any:
    """Return what a job has returned or raised; its public `return_value` would raise it again."""
    return returned._return_value
