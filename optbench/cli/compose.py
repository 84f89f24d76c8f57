"""From overrides to a checked config, through Hydra."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra import initialize_config_dir
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.config_loader import ConfigLoader
from hydra.core.config_search_path import SearchPathElement
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from optbench.cli.paths import configs_folder
from optbench.cli.resolvers import register_resolvers
from optbench.config.conform import conform
from optbench.config.schedules import expand_schedules
from optbench.config.schema import RunConfig, from_plain
from optbench.config.structure import check_parameter_groups, refuse_missing
from optbench.config.suggest import did_you_mean
from optbench.errors import UserError

GROUPS = (
    *("model", "dataset", "optimizer", "wrapper", "schedule"),
    *("precision", "checkpoint", "recipe"),
)


@dataclass(frozen=True)
class Job:
    """One run to be done: its config, typed and plain, and what the command line said.

    Attributes:
        choices: the file that each group chose.
        folder: wanted for the run.
        varied: the keys that differ among the runs of its sweep.
    """

    config: RunConfig
    plain: dict[str, Any]
    overrides: list[str]
    choices: dict[str, str]
    folder: str
    varied: tuple[str, ...] = ()


def keys_of(overrides: Sequence[str]) -> list[str]:
    """The keys that overrides set."""
    return [line.lstrip("+~").partition("=")[0] for line in overrides]


@contextmanager
def hydra_session(config_dir: str | None = None) -> Iterator[Composer]:
    """Hydra, started on our configs and, after them, a user's own `config_dir`."""
    register_resolvers()
    if config_dir is not None and not Path(config_dir).is_dir():
        raise UserError(f"--config-dir={config_dir}: no such folder")
    with initialize_config_dir(str(configs_folder()), version_base="1.3", job_name="optbench"):
        hydra = GlobalHydra.instance().hydra
        assert hydra is not None
        if config_dir is not None:
            search_path = hydra.config_loader.get_search_path()
            own = SearchPathElement("command-line", f"file://{Path(config_dir).resolve()}")
            search_path.get_path().insert(-1, own)  # Hydra wants its schemas last
            hydra.config_loader.repository.initialize_sources(search_path)  # type: ignore[attr-defined]
        yield Composer(hydra.config_loader, config_dir)


class Composer:
    """Composes configs, and says in one line what is wrong with the overrides."""

    def __init__(self, loader: ConfigLoader, config_dir: str | None = None) -> None:
        self.loader = loader
        self.config_dir = str(Path(config_dir).resolve()) if config_dir else None
        self._parsed: dict[str, Override] = {}
        self._options: dict[str, list[str]] = {}
        self._bases: dict[tuple[str, ...], tuple[DictConfig, DictConfig]] = {}
        self._references: dict[tuple[str, ...], dict[str, Any]] = {}

    def parse(self, overrides: Sequence[str]) -> list[Override]:
        """The overrides as Hydra reads them, every named choice known to exist."""
        return [self._parse(line) for line in overrides]

    def _parse(self, line: str) -> Override:
        if line not in self._parsed:
            if line.lstrip("+~").startswith("="):
                raise UserError(f"{line}: expected key=value")
            try:
                parser = OverridesParser.create(config_loader=self.loader)
                override = parser.parse_overrides([line])[0]
            except HydraException as error:
                if "=" not in line:
                    raise UserError(f"{line}: expected key=value") from None
                raise UserError(f"{line}: not to be understood as key=value") from error
            self._check_choice(override)
            self._parsed[line] = override
        return self._parsed[line]

    def compose(self, overrides: Sequence[str], mode: RunMode = RunMode.RUN) -> DictConfig:
        """The composed config with its `hydra` node; UserError for whatever Hydra refuses."""
        parsed = self.parse(overrides)
        if mode == RunMode.RUN:
            for override in parsed:
                if override.is_sweep_override():
                    raise UserError(f"{override.input_line}: several values need -m")
        try:
            cfg = self.loader.load_configuration("config", list(overrides), mode)
        except (HydraException, OmegaConfBaseException, YAMLError) as error:
            raise self._explain(error, parsed) from error
        HydraConfig.instance().set_config(cfg)
        return cfg

    def job(self, cfg: DictConfig, overrides: Sequence[str]) -> Job:
        """A composed config, checked."""
        return self.job_of(cfg, cfg.hydra, overrides)

    def job_of(self, cfg: DictConfig, hydra: DictConfig, overrides: Sequence[str]) -> Job:
        """The same for a config whose `hydra` node stands elsewhere."""
        choices = {g: str(hydra.runtime.choices.get(g)) for g in GROUPS}
        if cfg.get("name") is None:
            with open_dict(cfg):
                cfg.name = "-".join(choices[g] for g in ("dataset", "model", "optimizer"))
        try:
            plain = {key: _resolved(cfg, key) for key in _keys(cfg)}
            folder = str(hydra.run.dir)
        except OmegaConfBaseException as error:
            raise UserError(f"config: {_first_line(error)}") from None
        checked = self.check(plain, choices)
        return Job(from_plain(checked), checked, list(overrides), choices, folder)

    def variant(self, overrides: Sequence[str]) -> Job:
        """The job of one run of a sweep; runs that choose the same files are composed once."""
        parsed = self.parse(overrides)
        chosen = [o for o in parsed if self._is_group(o)]
        key = tuple(str(o.input_line) for o in chosen)
        if key not in self._bases:
            composed = self.compose(key)
            without_hydra = OmegaConf.masked_copy(composed, _keys(composed))
            OmegaConf.set_struct(without_hydra, True)
            self._bases[key] = (without_hydra, composed.hydra)
        base, hydra = self._bases[key]
        cfg = copy.deepcopy(base)
        values = [o for o in parsed if o not in chosen]
        try:
            ConfigLoaderImpl._apply_overrides_to_config(values, cfg)
        except (HydraException, OmegaConfBaseException) as error:
            raise self._explain(error, parsed) from error
        return self.job_of(cfg, hydra, overrides)

    def _is_group(self, override: Override) -> bool:
        exists = self.loader.repository.group_exists  # type: ignore[attr-defined]
        return override.package is not None or exists(override.key_or_group)

    def check(self, plain: Mapping[str, Any], choices: Mapping[str, str]) -> dict[str, Any]:
        """Plain data in the types of the files that it came from."""
        reference = self.reference(choices)
        refuse_missing(plain, reference)
        checked = self.expand(conform(plain, reference))
        check_parameter_groups(checked["optimizer"])
        return checked

    def expand(self, plain: Mapping[str, Any]) -> dict[str, Any]:
        """Conformed data with all the keys of the schedules that are named inside it."""
        return expand_schedules(plain, self._schedule_file)

    def _schedule_file(self, name: str, at: str) -> dict[str, Any]:
        options = self.options("schedule")
        if name not in options:
            raise UserError(f"{at}={name}: no such schedule; {did_you_mean(name, options)}")
        return {**_plain(self._load("config"))["schedule"], **self._chain("schedule", name)}

    def reference(self, choices: Mapping[str, str]) -> dict[str, Any]:
        """The defaults, with their types, of config.yaml and the chosen files."""
        key = tuple(choices[group] for group in GROUPS)
        if key not in self._references:
            reference = _plain(self._load("config"))
            reference.pop("hydra", None)
            for group in GROUPS[:-1]:
                own = self._chain(group, choices[group])
                reference[group] = {**reference.get(group, {}), **own}
            self._references[key] = reference
        return self._references[key]

    def _chain(self, group: str, choice: str) -> dict[str, Any]:
        """A group's file with the files of the same group that its defaults list names."""
        values: dict[str, Any] = {}
        path = f"{group}/{choice}"
        result = self.loader.repository.load_config(path)  # type: ignore[attr-defined]
        if result is None:
            return values
        for entry in result.defaults_list or []:
            name = getattr(entry, "path", None) or getattr(entry, "value", None)
            if isinstance(name, str) and name != "_self_" and not name.startswith("/"):
                values.update(self._chain(group, name))
        return {**values, **_plain(result.config)}

    def _load(self, path: str) -> Any:
        return self.loader.repository.load_config(path).config  # type: ignore[attr-defined]

    def options(self, group: str) -> list[str]:
        """The choices that a group has."""
        if group not in self._options:
            found = self.loader.get_group_options(group)
            self._options[group] = sorted(o for o in found if not o.startswith("_"))
        return self._options[group]

    def _check_choice(self, override: Override) -> None:
        group = override.key_or_group
        if group not in GROUPS:
            return
        if override.is_delete() or override.is_add() or override.package is not None:
            raise UserError(f"{override.input_line}: choose with {group}=NAME")
        options = self.options(group)
        values = override.sweep_string_iterator() if override.is_sweep_override() else None
        for value in values if values is not None else [override.value()]:
            if str(value) not in options:
                raise UserError(
                    f"{group}={'null' if value is None else value}: no such {group}; "
                    f"{did_you_mean(str(value), options)}"
                )

    def _explain(self, error: Exception, parsed: Sequence[Override]) -> UserError:
        """Which override it was, and what it might have meant."""
        groups = [str(o.input_line) for o in parsed if self._is_group(o)]
        try:
            base = self.loader.load_configuration("config", groups, RunMode.MULTIRUN)
        except (HydraException, OmegaConfBaseException, YAMLError):
            return UserError(_first_line(error))
        for override in parsed:
            key = override.key_or_group
            if key in GROUPS or key.startswith("hydra"):
                continue
            if override.is_add() and _has(base, key):
                return UserError(f"{override.input_line}: it is there already; leave out the +")
            if override.is_add() or not _has(base, key):
                problem = _unknown_key(base, key)
                if problem:
                    return UserError(f"{override.input_line}: {problem}")
        return UserError(_first_line(error))


def _unknown_key(base: DictConfig, key: str) -> str | None:
    parent, _, last = key.rpartition(".")
    node = OmegaConf.select(base, parent) if parent else base
    if isinstance(node, DictConfig):
        if last in node:
            return None
        keys = [str(k) for k in node if not str(k).startswith("_") and k != "hydra"]
        return f"no such key; {did_you_mean(last, keys)}"
    if parent:
        return _unknown_key(base, parent) or f"{parent} takes no keys"
    return None


def _has(cfg: DictConfig, key: str) -> bool:
    missing = object()
    try:
        return OmegaConf.select(cfg, key, default=missing) is not missing
    except OmegaConfBaseException:
        return True


def _keys(cfg: DictConfig) -> list[str]:
    return [str(key) for key in cfg if key != "hydra"]


def _resolved(cfg: DictConfig, key: str) -> Any:
    value = cfg[key]
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value


def _plain(node: Any) -> dict[str, Any]:
    plain = OmegaConf.to_container(node, resolve=False)
    assert isinstance(plain, dict)
    return {str(k): v for k, v in plain.items() if k != "defaults"}


def _first_line(error: BaseException) -> str:
    """The innermost message, on one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    text = re.sub(r"\s+", " ", str(error).split("\n    full_key")[0]).strip()
    return text or type(error).__name__
