"""Overrides as Hydra reads them, each looked at before anything is composed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig

from optbench.compose.explain import plain
from optbench.compose.files import GROUPS, ConfigFiles
from optbench.compose.grid import number_of_values
from optbench.compose.hydra_internals import repository
from optbench.compose.misread import misread, no_override, too_deep
from optbench.compose.numerals import misread_numbers
from optbench.compose.players import as_hydra_says, as_typed, is_own
from optbench.compose.plugins import plugin_meant
from optbench.compose.quoting import with_quotes
from optbench.config.about import ABOUT
from optbench.config.keys import leaves
from optbench.config.libraries import choice_meant
from optbench.errors import UserError


def refuse_two_wrappers(overrides: Sequence[Override]) -> None:
    """Refuse a wrapper after another: the later one would be the only one, not the outer one."""
    said = [o for o in overrides if o.key_or_group == "wrapper" and not o.is_sweep_override()]
    names = [str(o.value()) for o in said if o.value() not in ("none", None)]
    if len(set(names)) > 1:
        first, second = names[0], next(name for name in names if name != names[0])
        raise UserError(
            f"wrapper={second}: after wrapper={first}; an optimizer has one wrapper, leave out one"
        )


def refuse_space(overrides: Iterable[str]) -> None:
    """Refuse a search space, or a suite, where there is one run."""
    for line in overrides:
        if re.match(r"[+~]*space[=.@]", line):
            raise UserError(f"{line}: what is searched is said to optbench tune")
        if re.match(r"[+~]*suite[=.@]", line):
            raise UserError(f"{line}: workloads to compare on are said to optbench benchmark")


class OverrideReader:
    """Reads overrides, each once, and refuses those that make no sense whatever the others say.

    Args:
        loader: Hydra's.
        files: the choices that there are.
        base: composes the config of no overrides, for hints; None if that fails.
    """

    def __init__(
        self, loader: ConfigLoader, files: ConfigFiles, base: Callable[[], DictConfig | None]
    ) -> None:
        self.loader, self.files, self._base = loader, files, base
        self._parsed: dict[str, Override] = {}

    def __call__(self, overrides: Sequence[str], index: int) -> Override:
        """Read an override; raise UserError for what is none, or chooses what there is not."""
        line = overrides[index]
        if ("=" not in line and not line.startswith("~")) or line.startswith("="):
            raise UserError(no_override(overrides, index, self._word_meant))
        return self._parse(as_hydra_says(line))

    def _parse(self, line: str) -> Override:
        if line not in self._parsed:
            if said := misread_numbers(line):
                raise UserError(f"{as_typed(line)}: {said}")
            override = self.read(line) or self.read(with_quotes(line))
            if override is None:
                raise UserError(as_typed(misread(line, lambda text: self.read(text) is not None)))
            self._check_key(override)
            self._check_choice(override)
            self._parsed[line] = override
        return self._parsed[line]

    def read(self, line: str) -> Override | None:
        """Read one override; return None if Hydra can't."""
        if too_deep(line):
            return None
        try:
            parser = OverridesParser.create(config_loader=self.loader)
            return parser.parse_overrides([line])[0]
        except Exception:  # its grammar's, a number of 5000 digits, a hundred brackets in another
            return None

    def _word_meant(self, word: str, after: str) -> str | None:
        """Return the override that a word means: it is a choice, or a key before its value."""
        groups = [group for group in GROUPS if word in self.files.options(group)]
        if len(groups) == 1:
            return f"{groups[0]}={word}"
        base = self._base()
        known = base is not None and word in leaves(plain(base))
        return f"{word}={after}" if after and known else None

    def _check_key(self, override: Override) -> None:
        key, line = override.key_or_group, override.input_line
        if override.is_delete() and not key.startswith("hydra"):
            raise UserError(f"{as_typed(str(line))}: a key can be set, not deleted")
        if ABOUT in key.split("."):
            said = f"{ABOUT} is what a file says of itself; it sets nothing"
            raise UserError(f"{as_typed(str(line))}: {said}")
        if key == "hydra.mode":
            raise UserError(f"{line}: for several runs write -m")

    def _check_launcher(self, override: Override) -> None:
        """Refuse a choice of Hydra's own that there is not."""
        group, value = override.key_or_group, override.value()
        if not group.startswith("hydra/") or override.is_sweep_override() or override.is_delete():
            return
        found = repository(self.loader).get_group_options(group)
        if found and value is not None and str(value) not in found:
            kind, line = group.removeprefix("hydra/"), override.input_line
            raise UserError(f"{line}: no such {kind}; {plugin_meant(kind, str(value), found)}")

    def _check_choice(self, override: Override) -> None:
        group = override.key_or_group
        if group not in GROUPS:
            self._check_launcher(override)
            return
        misplaced = override.package is not None and not is_own(group, override.package)
        if override.is_delete() or override.is_add() or misplaced:
            raise UserError(f"{override.input_line}: choose with {group}=NAME")
        options = self.files.options(group)
        values: Iterable[Any] = [override.value()]
        if override.is_sweep_override():
            number_of_values(override)
            values = override.sweep_string_iterator()
        for value in values:
            if isinstance(value, list):
                each = ",".join(map(str, value))
                raise UserError(f"{override.input_line}: several runs are -m {group}={each}")
            if "${" in str(value):
                raise UserError(f"{group}={value}: a file is chosen by its name alone")
            if str(value) not in options:
                key = as_typed(override.get_key_element().lstrip("+~"))
                raise UserError(
                    f"{key}={'null' if value is None else value}: no such {group}; "
                    f"{choice_meant(group, str(value), options, key)}"
                )
