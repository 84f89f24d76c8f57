"""The config files as they are read, with the defaults and the keys that they have."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.plugins.config_source import ConfigResult
from omegaconf import OmegaConf

from optbench.compose.config_source import fault
from optbench.compose.hydra_internals import repository
from optbench.compose.players import OWN, choice_key
from optbench.config.conform import conform, conform_value
from optbench.errors import UserError

OVERLAYS = ("workload", "recipe")
"""Groups whose files set keys of all the others."""

GROUPS = (
    "model",
    "dataset",
    "optimizer",
    "wrapper",
    "schedule",
    "precision",
    "checkpoint",
    "task",
    *OVERLAYS,
)


LATER = ("fold",)
"""Keys that runs may lack which are older than they are."""


class ConfigFiles:
    """What stands in config.yaml and in the files of the groups, a user's own among them.

    Each file is read once.

    Args:
        loader: Hydra's, which knows where they are.
    """

    def __init__(self, loader: ConfigLoader) -> None:
        self.loader = loader
        self._read: dict[str, ConfigResult | None] = {}
        self._options: dict[str, list[str]] = {}
        self._groups: dict[str, bool] = {}
        self._references: dict[tuple[str, ...], dict[str, Any]] = {}

    def reference(self, choices: Mapping[str, str]) -> dict[str, Any]:
        """Return the defaults, with their types, of config.yaml and the chosen files."""
        key = tuple(choices.values())
        if key not in self._references:
            reference = self._shared("config")
            reference.pop("hydra", None)
            for group in GROUPS:
                if group not in OVERLAYS:
                    own = self.chain(group, choices[group])
                    every = {**reference.get(group, {}), **self._of_every_choice(group)}
                    for name in own.keys() & every.keys():
                        if own[name] is not None and "${" not in str(own[name]):
                            conform_value(own[name], every[name], f"{group}.{name}")
                    own = self.file(group, choices[group])
                    reference[group] = {**reference.get(group, {}), **own}
            task = reference["task"]
            if "task" in task:  # a file for more than its own group
                reference["player"] = self._players(task.get("player", {}), choices)
                reference["task"] = task["task"]
            self._references[key] = reference
        return self._references[key]

    def check_whole(self, plain: Mapping[str, Any], choices: Mapping[str, str]) -> dict[str, Any]:
        """Check a config that was not composed just now against the files all the same.

        Args:
            plain: it.
            choices: the file of each group, as far as they are known and still there.

        Returns:
            It, every value in the type of its default.

        Raises:
            UserError: a key that is missing or unknown, a value of another type.
        """
        shared = self._shared("config")
        shared.pop("hydra", None)
        players = plain.get("player", {})
        if not isinstance(players, Mapping) or not all(
            isinstance(own, Mapping) for own in players.values()
        ):
            raise UserError(f"player={players}: not valid; expected a group of players")
        reference: dict[str, Any] = {**shared, "name": "", "player": plain.get("player", {})}
        for group in GROUPS:
            if group in OVERLAYS:
                continue
            node, needed = plain.get(group), {"_target_": None, **shared.get(group, {})}
            needed |= self._shared(f"_{group}") if group in OWN else {}
            if group in ("precision", "checkpoint", "wrapper"):
                del needed["_target_"]
            if not isinstance(node, Mapping):
                raise UserError(f"{group}: is missing" if node is None else f"{group}={node}")
            if lacking := [key for key in needed if key not in node and key not in LATER]:
                raise UserError(f"{group}.{lacking[0]}: is missing")
            known = choices.get(group) in self.options(group) and group != "task"
            reference[group] = self.file(group, choices[group]) if known else dict(node)
            reference[group] = {**shared.get(group, {}), **reference[group]}
        return conform(plain, reference)

    def _players(
        self, players: Mapping[str, Mapping[str, Any]], choices: Mapping[str, str]
    ) -> dict[str, Any]:
        for name, node in players.items() if isinstance(players, Mapping) else [("player", None)]:
            if not isinstance(node, Mapping):
                raise UserError(f"task={choices['task']}: {name}: expected a group of keys")
            for group in OWN:
                if choice_key(name, group) not in choices:
                    raise UserError(f"task={choices['task']}: player {name} has no {group}")
        return {
            name: {**node, **{g: self.file(g, choices[choice_key(name, g)]) for g in OWN}}
            for name, node in players.items()
        }

    def file(self, group: str, choice: str) -> dict[str, Any]:
        """Return all keys of a choice, with those that every choice of the group has."""
        return {**self._of_every_choice(group), **self.chain(group, choice)}

    def _of_every_choice(self, group: str) -> dict[str, Any]:
        return self._shared(f"_{group}") if group in OWN else {}

    def chain(self, group: str, choice: str) -> dict[str, Any]:
        """Return a group's file with those of the same group that its defaults list names."""
        values: dict[str, Any] = {}
        for _, said in self.written(group, choice):
            values.update(said)
        return values

    def defaults(self) -> dict[str, str]:
        """Return the file of each group in config.yaml's defaults list."""
        entries = self._entries("config")
        return {str(e.group): str(e.value) for e in entries if getattr(e, "group", None)}

    def called(self, group: str, choice: str) -> str:
        """Return what a choice's file is called, for messages: `optimizer=mine: its file PATH`."""
        result = self._load(f"{group}/{choice}")
        folder = result.path.removeprefix("file://") if result else ""
        return f"{group}={choice}: its file {folder}/{group}/{choice}.yaml"

    def chooses(self, group: str, choice: str) -> bool:
        """Return whether a file, or one of its group in it, chooses for other groups."""
        if any(
            (getattr(e, "path", None) or "/").startswith("/")
            for e in self._entries(f"{group}/{choice}")
        ):
            return True
        return any(self.chooses(group, part) for part in self._parts(group, choice))

    def players_of(self, group: str, choice: str) -> dict[str, dict[str, Any]]:
        """Return what a file says of players, by name; what is no mapping is refused elsewhere."""
        players = self.chain(group, choice).get("player")
        if not isinstance(players, Mapping):
            return {}
        return {str(k): dict(v) if isinstance(v, Mapping) else {} for k, v in players.items()}

    def chosen(self, group: str, choice: str, key: str) -> str | None:
        """Return the file that a file, or one that it is made of, chooses for another group.

        Args:
            key: of the other choice, such as `optimizer` or `optimizer@player.generator.optimizer`.
        """
        for entry in self._entries(f"{group}/{choice}"):
            own, package = getattr(entry, "group", None), getattr(entry, "package", None)
            if own and own.lstrip("/") + (f"@{package}" if package else "") == key:
                return str(entry.value)
        found = [self.chosen(group, part, key) for part in reversed(self._parts(group, choice))]
        return next((name for name in found if name is not None), None)

    def written(self, group: str, choice: str) -> list[tuple[str, dict[str, Any]]]:
        """Return what stands in each of the files that a file is made of, itself last."""
        parts = [pair for part in self._parts(group, choice) for pair in self.written(group, part)]
        result = self._load(f"{group}/{choice}")
        return [*parts, (choice, _plain(result.config))] if result else parts

    def _parts(self, group: str, choice: str) -> list[str]:
        """Return the files of the same group in a file's defaults list."""
        names = [getattr(entry, "path", None) for entry in self._entries(f"{group}/{choice}")]
        return [name for name in names if name and name != "_self_" and not name.startswith("/")]

    def _entries(self, path: str) -> list[Any]:
        """Return a file's defaults list."""
        result = self._load(path)
        return list(result.defaults_list or []) if result else []

    def _shared(self, path: str) -> dict[str, Any]:
        """Return what stands in a file that is always there."""
        result = self._load(path)
        assert result is not None, path
        return _plain(result.config)

    def _load(self, path: str) -> ConfigResult | None:
        if path not in self._read:
            try:
                found = repository(self.loader).load_config(path)
            except UserError:
                raise
            except Exception as error:  # whatever Hydra makes of its defaults list
                raise UserError(f"{path}.yaml: {fault(error)}") from error
            self._read[path] = found
        return self._read[path]

    def having(self, group: str, key: str) -> list[str]:
        """Return a group's choices whose files have a key, torch's own first.

        None where there is no such group. A file that can't be read is passed over: whoever chooses
        it is told.
        """
        if group not in GROUPS or group in (*OVERLAYS, "task"):
            return []
        files = {}
        for choice in self.options(group):
            with suppress(UserError):
                files[choice] = self.chain(group, choice)
        found = [choice for choice in files if key in files[choice]]
        return sorted(found, key=lambda name: not _is_torchs(files[name].get("_target_")))

    def is_group(self, key: str) -> bool:
        """Return whether there is a group of this name, one of Hydra's own among them."""
        if key not in self._groups:
            self._groups[key] = repository(self.loader).group_exists(key)
        return self._groups[key]

    def options(self, group: str) -> list[str]:
        """Return the choices that a group has."""
        if group not in self._options:
            # The loader's own method of this name copies the whole repository every time.
            found = repository(self.loader).get_group_options(group)
            self._options[group] = sorted(o for o in found if not o.startswith("_"))
        return self._options[group]


def _is_torchs(target: Any) -> bool:
    return str(target).startswith("torch.")


def _plain(node: Any) -> dict[str, Any]:
    plain = OmegaConf.to_container(node, resolve=False)
    assert isinstance(plain, dict)
    return {str(k): v for k, v in plain.items() if k != "defaults"}
