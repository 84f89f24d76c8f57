"""Which task a run has when nobody chose one: that of its model's file, or its data set's."""

from __future__ import annotations

from collections.abc import Sequence

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.types import Override
from hydra.types import RunMode

from optbench.compose.explain import first_line
from optbench.compose.files import GROUPS, OVERLAYS, ConfigFiles
from optbench.compose.players import unknown_player
from optbench.config.suggest import did_you_mean
from optbench.errors import UserError

AUTO = "auto"
_DECIDE = ("model", "dataset")


class TaskChoice:
    """Finds the task that overrides lead to; equal choices are looked at once.

    Args:
        files: the config files.
    """

    def __init__(self, loader: ConfigLoader, files: ConfigFiles) -> None:
        self.loader = loader
        self.files = files
        self._found: dict[tuple[str, ...], list[str]] = {}

    def __call__(self, parsed: Sequence[Override]) -> list[str]:
        """Return `task=NAME` in a list, which is empty where somebody has chosen the task.

        Args:
            parsed: the overrides; of several values the first decides.

        Raises:
            UserError: Hydra refuses the choices, or there is no such task.
        """
        chosen = tuple(_first(o) for o in parsed if o.key_or_group in GROUPS and not o.package)
        if chosen not in self._found:
            self._found[chosen] = self._find([line for line in chosen if line != f"task={AUTO}"])
        return self._found[chosen]

    def _find(self, chosen: list[str]) -> list[str]:
        plainly = self._plainly(chosen)
        if plainly:
            return [f"task={self._word(plainly)}"]
        try:
            choices = self.choices(chosen)
        except UserError:
            # An overlay may choose for players, that are there only when the task is known.
            for task in self.files.options("task"):
                if self._fits(chosen, task):
                    return [f"task={task}"]
            raise
        return [] if choices["task"] != AUTO else [f"task={self._word(choices)}"]

    def _plainly(self, chosen: Sequence[str]) -> dict[str, str]:
        """Return model and data set if no file chooses for another group; else nothing.

        So it is in most runs, a fiftieth of a second sooner than by Hydra's whole defaults list.
        """
        named = dict(line.split("=", 1) for line in chosen)
        if named.keys() & {"task", *OVERLAYS}:
            return {}
        defaults = self.files.defaults()
        named = {group: named.get(group, defaults[group]) for group in (*named, *_DECIDE)}
        for group, choice in named.items():  # quoted, say, it is Hydra's to read
            if choice not in self.files.options(group) or self.files.chooses(group, choice):
                return {}
        return named

    def _fits(self, chosen: Sequence[str], task: str) -> bool:
        """Return whether the choices lead to this task once it is chosen."""
        if task == AUTO:
            return False
        try:
            choices = self.choices([*chosen, f"task={task}"])
            return self._word(choices) == task
        except UserError:
            return False

    def _word(self, choices: dict[str, str]) -> str:
        word, at = "classification", "dataset"
        for group in _DECIDE:
            own = self.files.chain(group, choices[group]).get("task")
            word, at = (str(own), group) if own else (word, at)
        known = self.files.options("task")
        if word not in known:
            raise UserError(
                f"{at}={choices[at]}: no such task as its {word}; {did_you_mean(word, known)}"
            )
        return word

    def choices(self, chosen: Sequence[str]) -> dict[str, str]:
        """Return the file of each group that some choices lead to."""
        try:
            found = self.loader.compute_defaults_list("config", list(chosen), RunMode.RUN)
        except UserError:
            raise
        except Exception as error:  # whatever Hydra makes of it
            raise UserError(self._named(chosen, unknown_player(first_line(error)))) from error
        return {key: str(choice) for key, choice in found.overrides.known_choices.items()}

    def _named(self, chosen: Sequence[str], said: str) -> str:
        """Return a message that names the choice which leads to it."""
        for line in chosen if len(chosen) > 1 else ():
            try:
                self.choices([line])
            except UserError as error:
                return str(error)
        return f"{chosen[0]}: {said}" if len(chosen) == 1 and chosen[0] not in said else said


def _first(override: Override) -> str:
    """Return an override as it is typed, with the first value of several."""
    if not override.is_sweep_override():
        return str(override.input_line)
    return f"{override.key_or_group}={next(iter(override.sweep_string_iterator()))}"
