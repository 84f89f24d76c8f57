"""From overrides to a checked config, through Hydra."""

from __future__ import annotations

import functools
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from hydra import initialize_config_dir
from hydra.core.config_loader import ConfigLoader
from hydra.core.config_search_path import SearchPathElement
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.types import Override
from hydra.types import RunMode
from hydra.version import VersionBase
from omegaconf import DictConfig, OmegaConf, open_dict

from optbench.compose import hydra_internals
from optbench.compose.config_source import CheckedFolders
from optbench.compose.draft import Base, Draft, own_keys
from optbench.compose.executors import refuse_executor
from optbench.compose.explain import explain, first_line, plain, quoting, unresolved
from optbench.compose.files import GROUPS, OVERLAYS, ConfigFiles
from optbench.compose.grid import is_of_sweeps, is_param
from optbench.compose.numerals import one_number, with_a_point
from optbench.compose.overlays import drop_replaced_settings, may_drop, names_overlay
from optbench.compose.overrides import OverrideReader, refuse_space, refuse_two_wrappers
from optbench.compose.paths import configs_folder, folder_of_configs
from optbench.compose.players import (
    OWN,
    as_typed,
    check_player,
    is_choice,
    refuse_strangers,
    refuse_unowned,
)
from optbench.compose.resolvers import register_resolvers
from optbench.compose.task_choice import AUTO, TaskChoice
from optbench.compose.workloads import Workloads, default_name
from optbench.config.conform import UnknownKey, conform, is_text
from optbench.config.declared import field_of
from optbench.config.interpolated import decoded
from optbench.config.keys import find, setting
from optbench.config.paths import with_absolute_paths
from optbench.config.run_spec import RunSpec
from optbench.config.schedules import expand_schedules
from optbench.config.schema import from_plain
from optbench.config.stages import expand_stages
from optbench.config.structure import (
    check_parameter_groups,
    optimizers_of,
    refuse_missing,
    refuse_strange_texts,
)
from optbench.config.suggest import did_you_mean
from optbench.errors import UserError
from optbench.launched import launched_ranks


class SeveralValues(UserError):
    """Several values where there is one run.

    Args:
        said: the override, and what is wrong with it.
        hint: how it would be one value.
    """

    def __init__(self, said: str, hint: str = "") -> None:
        super().__init__(f"{said} need -m{hint}")
        self._said, self._hint = said, hint

    def needing(self, what: str) -> UserError:
        """Return the error for somebody who does many runs with something else than `-m`."""
        return UserError(f"{self._said} need {what}{self._hint}")


def _of_sweeps(override: Override) -> SeveralValues:
    """Return the error for a setting of Hydra's that one run would leave unused."""
    key, line = override.key_or_group, str(override.input_line)
    where = line.partition("=")[2]
    hint = f"; of one run write hydra.run.dir={where}" if key == "hydra.sweep.dir" else ""
    what = "values" if is_param(key) else "settings"
    return SeveralValues(f"{line}: {what} of a sweep", hint)


def keys_of(overrides: Sequence[str]) -> list[str]:
    """Return the keys that overrides set."""
    return [line.lstrip("+~").partition("=")[0] for line in overrides]


@contextmanager
def hydra_session(config_dir: str | None = None) -> Iterator[Composer]:
    """Start Hydra on our configs and, after them, a user's own `config_dir`.

    A program that is Hydra's itself gets its own Hydra back.
    """
    register_resolvers()
    launched_ranks()  # of which configs may ask: what is wrong with it is no config's fault
    folder = str(folder_of_configs(config_dir).resolve()) if config_dir is not None else None
    with (
        _hydra_put_back(),
        initialize_config_dir(str(configs_folder()), version_base="1.3", job_name="optbench"),
    ):
        hydra = GlobalHydra.instance().hydra
        assert hydra is not None
        search_path = hydra.config_loader.get_search_path()
        if folder is not None:
            own = SearchPathElement("command-line", f"file://{folder}")
            search_path.get_path().insert(-1, own)  # Hydra wants its schemas last
        hydra_internals.read_from(hydra.config_loader, CheckedFolders(search_path))
        yield Composer(hydra.config_loader, folder)


@contextmanager
def _hydra_put_back() -> Iterator[None]:
    """Put back, after the block, whatever of Hydra's is process-wide."""
    instance, of_the_job = GlobalHydra.instance(), HydraConfig.instance()
    version = VersionBase.instance()
    hydra, cfg, base = instance.hydra, of_the_job.cfg, version.version_base
    instance.clear()
    try:
        yield
    finally:
        GlobalHydra.set_instance(instance)
        instance.hydra, of_the_job.cfg, version.version_base = hydra, cfg, base


class Composer:
    """Composes configs, and says in one line what is wrong with the overrides."""

    def __init__(self, loader: ConfigLoader, config_dir: str | None = None) -> None:
        self.loader = loader
        self.files = ConfigFiles(loader)
        self.config_dir = config_dir
        self._reader = OverrideReader(loader, self.files, lambda: self._base([]))
        self._bases: dict[tuple[str, ...], tuple[Base, dict[str, str], Callable[[], str]]] = {}
        self._workloads = Workloads(self.files, self._as_it_stands)
        self.task = TaskChoice(loader, self.files)
        self._defaults: dict[str, dict[str, Any]] = {}

    def parse(self, overrides: Sequence[str]) -> list[Override]:
        """Parse the overrides as Hydra reads them, every named choice known to exist."""
        parsed = [self._reader(overrides, index) for index in range(len(overrides))]
        refuse_two_wrappers(parsed)
        return [o for o in parsed if o.key_or_group != "task" or o.value() != AUTO]

    def compose(self, overrides: Sequence[str], mode: RunMode = RunMode.RUN) -> DictConfig:
        """Compose the config, with its `hydra` node; raise UserError for what Hydra refuses."""
        refuse_executor(overrides, "of many runs; write -m")
        refuse_space(overrides)
        parsed = self.parse(overrides)
        if mode == RunMode.RUN:
            for override in parsed:
                if is_of_sweeps(override.key_or_group):
                    raise _of_sweeps(override)
                if override.is_sweep_override():
                    hint = self._as_one(override, parsed)
                    raise SeveralValues(f"{override.input_line}: several values", hint)
        lines = self.lines(overrides)
        try:
            cfg = self.loader.load_configuration("config", lines, mode)
        except UserError:
            raise
        except Exception as error:  # what Hydra trips over is of any kind
            raise self._explain(error, parsed) from error
        HydraConfig.instance().set_config(cfg)
        return cfg

    def lines(self, overrides: Sequence[str]) -> list[str]:
        """Return all that Hydra has to be given for some overrides, in its words; task first."""
        parsed = self.parse(overrides)
        return [*self.task(parsed), *(str(override.input_line) for override in parsed)]

    def spec(self, cfg: DictConfig, overrides: Sequence[str]) -> RunSpec:
        """Check a composed config; return what to run."""
        return self.spec_of(cfg, cfg.hydra, overrides)

    def spec_of(self, cfg: DictConfig, hydra: DictConfig, overrides: Sequence[str]) -> RunSpec:
        """Do the same for a config whose `hydra` node stands elsewhere."""
        folder = functools.partial(folder_of, hydra, "run")
        return self._spec(Draft(cfg), self._choices(hydra), overrides, folder)

    def _spec(
        self,
        draft: Draft,
        choices: dict[str, str],
        overrides: Sequence[str],
        folder: Callable[[], str],
    ) -> RunSpec:
        cfg, named = draft.cfg, draft.has("name")
        if not named:
            with open_dict(cfg):
                cfg.name = default_name(choices)
        checked = self._checked(draft, choices, overrides)
        warning = self._workloads.leave(checked, choices, keys_of(overrides))
        if warning and (checked["name"] is None or not named):
            with open_dict(cfg):
                cfg.name = checked["name"] = default_name(choices)
        warnings = (warning,) if warning else ()
        said = list(overrides)
        return RunSpec(from_plain(checked), checked, said, choices, folder(), warnings=warnings)

    def _choices(self, hydra: DictConfig) -> dict[str, str]:
        """Return the file of each group, and of each player's own."""
        known = hydra.runtime.choices
        choices = {g: str(known.get(g)) for g in GROUPS}
        return choices | {key: str(known[key]) for key in known if is_choice(str(key))}

    def _checked(
        self, draft: Draft, choices: Mapping[str, str], overrides: Sequence[str]
    ) -> dict[str, Any]:
        """Return a composed config as plain data, resolved and checked."""
        reference = self.files.reference(choices)
        drop_replaced_settings(draft.cfg, self.files, choices, reference, keys_of(overrides))
        written = draft.written()
        try:
            found = draft.resolved()
        except Exception as error:  # a resolver's, or none of this name
            raise UserError(unresolved(draft.cfg, own_keys(draft.cfg))) from error
        return self.check(decoded(found, written, reference), choices, overrides)

    def _as_it_stands(self, workload: str) -> tuple[dict[str, Any], dict[str, str]]:
        """Return the config and the choices of a workload that nobody has changed."""
        lines = self.lines([f"workload={workload}"])
        cfg = self.loader.load_configuration("config", lines, RunMode.RUN)
        choices = self._choices(cfg.hydra)
        with open_dict(cfg):
            cfg.name = workload
        return self._checked(Draft(cfg), choices, []), choices

    def folder_of_sweep(self, overrides: Sequence[str]) -> str:
        """Return the folder of a sweep with these overrides."""
        return folder_of(self.compose(overrides, RunMode.MULTIRUN).hydra, "sweep")

    def variant(self, overrides: Sequence[str]) -> RunSpec:
        """Compose one run of a sweep; runs that choose the same files are composed once."""
        parsed = self.parse(overrides)
        chosen = [o for o in parsed if self._is_group(o)]
        key = tuple(str(o.input_line) for o in chosen)
        if key not in self._bases:
            composed = self.compose(key)
            own = OmegaConf.masked_copy(composed, own_keys(composed))
            choices = self._choices(composed.hydra)
            base = Base(own, {"name", *may_drop(self.files, choices)})
            found = functools.cache(functools.partial(folder_of, composed.hydra, "run"))
            self._bases[key] = (base, choices, found)
        base, choices, folder = self._bases[key]
        values = [o for o in parsed if o not in chosen]
        try:
            draft = base.draft(values)
        except Exception as error:
            raise self._explain(error, parsed) from error
        return self._spec(draft, dict(choices), overrides, folder)

    def _is_group(self, override: Override) -> bool:
        return override.package is not None or self.files.is_group(override.key_or_group)

    def check(
        self, plain: Mapping[str, Any], choices: Mapping[str, str], typed: Sequence[str] = ()
    ) -> dict[str, Any]:
        """Bring plain data to the types of the files that it came from; `typed`: the overrides."""
        reference = self.files.reference(choices)
        refuse_strange_texts(plain)
        for group in ("model", "dataset"):
            if plain[group].get("task") != reference[group]["task"]:
                raise UserError(f"{group}.task={plain[group]['task']}: choose with task=NAME")
        refuse_missing(plain, reference, lambda group: self.files.called(group, choices[group]))
        try:
            with quoting(typed):
                checked = conform(plain, reference)
        except UnknownKey as error:
            raise names_overlay(error, self.files, choices, keys_of(typed)) from None
        said = {f"{g}={choices[g]}": self.files.players_of(g, choices[g]) for g in OVERLAYS}
        refuse_strangers(checked, reference, choices["task"], said)
        if checked["player"]:
            refuse_unowned(checked, self._unchosen(), choices, typed)
        return self.expand(checked)

    def _unchosen(self) -> dict[str, dict[str, Any]]:
        """Return optimizer and schedule as they are when nobody chooses them."""
        if not self._defaults:
            choices = self.files.defaults()
            self._defaults = {group: self.files.file(group, choices[group]) for group in OWN}
        return self._defaults

    def expand(self, plain: Mapping[str, Any]) -> dict[str, Any]:
        """Expand what is named in conformed data, make its paths absolute, and check it."""
        staged = expand_stages(with_absolute_paths(plain), self.files.file, self.files.options)
        expanded = expand_schedules(staged, self._schedule_file)
        for at, node in optimizers_of(expanded):
            check_parameter_groups(node, at)
        return expanded

    def _schedule_file(self, name: str, at: str) -> dict[str, Any]:
        options = self.files.options("schedule")
        if name not in options:
            raise UserError(f"{at}={name}: no such schedule; {did_you_mean(name, options)}")
        return self.files.file("schedule", name)

    def _explain(self, error: Exception, parsed: Sequence[Override]) -> UserError:
        """Return an error that says which override it was, and what it might have meant."""
        base = self._base(parsed)
        if base is None:
            return UserError(as_typed(self._culprit(parsed, error)))
        for override in parsed:
            line = as_typed(str(override.input_line))
            check_player(line.lstrip("+~"), line, base.player)
        found = explain(base, parsed, GROUPS, self.files)
        return UserError(as_typed(found or self._culprit(parsed, error)))

    def _culprit(self, parsed: Sequence[Override], error: Exception) -> str:
        """Return the first override that Hydra refuses by itself, and why; else only why."""
        for override in parsed:
            line = str(override.input_line)
            try:
                lines = [*self.task([override]), line]
                self.loader.load_configuration("config", lines, RunMode.MULTIRUN)
            except Exception as own:
                return f"{line}: {first_line(own).removeprefix(f'{line}: ')}"
        return first_line(error)

    def _base(self, parsed: Sequence[Override]) -> DictConfig | None:
        """Return the config of the overrides that choose files alone; None if that fails too."""
        groups = [str(o.input_line) for o in parsed if self._is_group(o) and o.package is None]
        try:
            lines = [*self.task(parsed), *groups]
            return self.loader.load_configuration("config", lines, RunMode.MULTIRUN)
        except Exception:
            return None

    def _as_one(self, override: Override, parsed: Sequence[Override]) -> str:
        """Return how a list, or a text with commas, is written, if one was probably meant."""
        key, base = override.key_or_group, self._base(parsed)
        text = str(override.input_line).partition("=")[2]
        if override.is_choice_sweep() and field_of(key) is not None and is_text(None, key):
            return f"; a text with commas: '{key}=\"{text}\"'"
        if re.match(r"\d,", text) and (one := one_number(key, text)):
            return f"; one number has no commas: {one}"
        if base is None or not override.is_choice_sweep():
            return ""
        now = find(plain(base), key)
        if isinstance(now, float) and (one := with_a_point(text)):
            return f"; a decimal has a point: {key}={one}"
        return f"; a list: {shlex.quote(f'{key}=[{text}]')}" if isinstance(now, list) else ""

    def setting_meant(self, word: str, text: str, overrides: Sequence[str]) -> str | None:
        """Return the override that a word and a value mean, with the files of `overrides`."""
        base = self._base(self.parse(overrides))
        read = self._reader.read(f"key={text}")
        value = None if read is None or read.is_sweep_override() else read.value()
        return None if base is None else setting(word, text, value or None, plain(base))


def folder_of(hydra: DictConfig, of: str) -> str:
    """Return the folder that `hydra.run.dir` or `hydra.sweep.dir` comes to; `of`: run or sweep."""
    try:
        return str(hydra[of].dir)
    except Exception as error:
        raise UserError(f"hydra.{unresolved(hydra, [of])}") from error
