"""Config files as Hydra gets them: without what they say of themselves under `_about_`; of a user's
own, faults are told in a line that names the file and the place."""

from __future__ import annotations

import copy
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from hydra.core.object_type import ObjectType
from hydra.plugins.config_source import ConfigLoadError, ConfigResult
from omegaconf import DictConfig

from optbench.compose.hydra_internals import FolderOfConfigs, FoldersOfConfigs
from optbench.compose.paths import LARGEST
from optbench.config.about import ABOUT, read_about
from optbench.config.as_written import tree
from optbench.errors import UserError

MOST_NODES = 100_000
"""Keys and values with every alias written out."""


OURS = "main"
"""What Hydra calls the folder that it was started on."""


_LOADED: dict[tuple[str, int, int], ConfigResult] = {}
"""What files of ours held; Hydra changes what it gets, and gets copies."""


class CheckedFiles(FolderOfConfigs):
    """A folder of config files, each of which is looked at before Hydra reads it, but for ours."""

    def load_config(self, config_path: str) -> ConfigResult:
        """Load the file, without its `_about_`; raise UserError for one that is no config."""
        path = self.file_of(config_path)
        try:
            if self.provider == OURS and path.is_file():
                return self._once(path, config_path)
            if self.provider != OURS and path.exists():
                _check(path, config_path.partition("/")[0])
            return self._without_about(config_path)
        except (UserError, ConfigLoadError):
            raise
        except Exception as error:  # whatever a file makes of the parsers
            raise UserError(f"{path}: {fault(error)}") from error

    def _without_about(self, config_path: str) -> ConfigResult:
        found = super().load_config(config_path)
        if isinstance(found.config, DictConfig) and ABOUT in found.config:
            del found.config[ABOUT]
        return found

    def _once(self, path: Path, config_path: str) -> ConfigResult:
        """Load a file of ours, or copy what it held when it was loaded: a fifth of the time."""
        state = path.stat()
        known = (str(path), state.st_mtime_ns, state.st_size)
        if known not in _LOADED:
            _LOADED[known] = self._without_about(config_path)
        found = _LOADED[known]
        return replace(found, config=copy.deepcopy(found.config))

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        """Return the names of what lies in a folder."""
        try:
            return super().list(config_path, results_filter)
        except OSError as error:
            raise UserError(f"{self.path}/{config_path}: {fault(error)}") from None


class CheckedFolders(FoldersOfConfigs):
    """All that configs are read from."""

    read_by = CheckedFiles


def fault(error: Exception) -> str:
    """Return what is wrong with a file, on one line, and where."""
    if isinstance(error, yaml.MarkedYAMLError):
        marks = [error.problem_mark, error.context_mark]
        if "simple key" in (error.context or ""):  # a word without its colon, in a line before
            marks.reverse()
        mark = marks[0] or marks[1]
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        said = [" ".join(part.split()) for part in (error.context, error.problem) if part]
        return f"{where}{', '.join(said)}"
    if isinstance(error, UnicodeDecodeError):
        return f"not in UTF-8 (byte {error.object[error.start]:#04x} at {error.start})"
    if isinstance(error, RecursionError):
        return "nested too deeply"
    if isinstance(error, OSError):
        return error.strerror or "can't be read"
    return " ".join(str(error).split("\n    full_key")[0].split()) or type(error).__name__


def _check(path: Path, group: str) -> None:
    """Raise UserError, or YAML's own, for what is no config.

    That is no mapping of keys to values that has an end, or what a choice of a group can't say of
    itself.
    """
    if not path.is_file():
        raise UserError(f"{path}: not a file")
    if os.stat(path).st_size > LARGEST:
        raise UserError(f"{path}: larger than {LARGEST // 1024} KiB, which no config is")
    text = path.read_bytes().decode("utf-8")
    node = tree(text)
    if node is None or node.tag == "tag:yaml.org,2002:null":
        return
    if not isinstance(node, yaml.MappingNode):
        kind = "a list" if isinstance(node, yaml.SequenceNode) else f"the text {node.value[:40]!r}"
        raise UserError(f"{path}: expected `key: value` on each line, found {kind}")
    if _size(node, {}, ()) > MOST_NODES:
        raise UserError(f"{path}: its aliases stand for more than {MOST_NODES} entries")
    read_about(node, group, path)


def _size(node: Any, known: dict[int, int], above: tuple[int, ...]) -> int:
    """Return how many nodes there are when aliases are written out."""
    if id(node) in above:
        raise ValueError("an alias that contains itself")
    if id(node) not in known:
        inside: list[Any] = []
        if isinstance(node, yaml.MappingNode):
            inside = [part for pair in node.value for part in pair]
        elif isinstance(node, yaml.SequenceNode):
            inside = node.value
        known[id(node)] = 1 + sum(_size(part, known, (*above, id(node))) for part in inside)
    return known[id(node)]
