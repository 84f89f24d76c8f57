"""Tasks with several players: how their optimizers and schedules are chosen on the command line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

from optbench.config.suggest import did_you_mean
from optbench.errors import UserError

OWN = ("optimizer", "schedule")
"""The groups of which each player has a choice of its own."""

_TYPED = re.compile(rf"^player\.(\w+)\.({'|'.join(OWN)})=")
_HYDRAS = re.compile(rf"\b({'|'.join(OWN)})@player\.(\w+)\.\1\b")

_WEIGHTS = re.compile(r"^weights=(?!\{)")


def as_hydra_says(line: str) -> str:
    """Return `player.generator.optimizer=sgd`, `weights=PATH` as Hydra wants it; others as is."""
    return _WEIGHTS.sub("weights.path=", _TYPED.sub(r"\2@player.\1.\2=", line))


def as_typed(text: str) -> str:
    """Turn it back into what was typed, for messages."""
    return _HYDRAS.sub(r"player.\2.\1", text)


def unknown_player(text: str) -> str:
    """Return Hydra's message, or ours where a file chooses for a player that there is not."""
    found = re.match(r"In '(\w+)/([^']+)': Could not override '([^']+)'", text)
    if found is None or not is_choice(found[3]):
        return as_typed(text)
    return f"{found[1]}={found[2]}: {as_typed(found[3])}: the task has no such player"


def is_own(group: str, package: str | None) -> bool:
    """Return whether an override with a package is a player's choice."""
    return bool(_HYDRAS.fullmatch(f"{group}@{package}"))


def choice_key(name: str, group: str) -> str:
    """Return the key of a player's choice in Hydra's list of choices."""
    return f"{group}@player.{name}.{group}"


def is_choice(key: str) -> bool:
    """Return whether a key of Hydra's list of choices is a player's."""
    return bool(_HYDRAS.fullmatch(key))


def check_player(key: str, line: str, players: Iterable[str]) -> None:
    """Raise UserError for an override of a player that the task does not have."""
    name = key.split(".")[1] if key.startswith("player.") else ""
    known = list(players)
    if not name or name in known:
        return
    if not known:
        raise UserError(f"{line}: this task has one player; its keys are optimizer and schedule")
    raise UserError(f"{line}: no such player; {did_you_mean(name, known)}")


def refuse_strangers(
    plain: Mapping[str, Any], reference: Mapping[str, Any], task: str, said: Mapping[str, Any]
) -> None:
    """Refuse players, as an overlay or `++player.x` may set them, of a task that has none.

    Args:
        said: what each overlay says of players, by its choice, such as `recipe=gan`.
    """
    if reference["player"]:
        return
    for name in plain["player"]:
        by = next((f"{choice}: " for choice, players in said.items() if name in players), "")
        raise UserError(
            f"{by}player.{name}: task={task} has one player, whose keys are optimizer and schedule;"
            " model=dcgan is trained by two"
        )


def refuse_unowned(
    plain: Mapping[str, Any],
    defaults: Mapping[str, Mapping[str, Any]],
    said: Mapping[str, str],
    typed: Sequence[str],
) -> None:
    """Refuse an optimizer or schedule that is given to nobody, where each player has its own.

    Args:
        plain: the config.
        defaults: of the two groups, as they are when nobody says anything.
        said: the files that were chosen for them.
        typed: the overrides, of which any that names one of them is refused.
    """
    for line in typed:
        if line.lstrip("+~").partition("=")[0].partition(".")[0] in OWN:
            _refuse(line.partition("=")[0].partition(".")[0], line, plain["player"])
    for group in defaults:
        given, default = plain[group], defaults[group]
        changed = [key for key, value in given.items() if default.get(key) != value]
        if not changed:
            continue
        own = f"{group}={said[group]}"
        if given.get("_target_") == default.get("_target_"):
            own = f"{group}.{changed[0]}={given[changed[0]]}"
        _refuse(group, own, plain["player"])


def _refuse(group: str, line: str, players: Iterable[str]) -> NoReturn:
    each = " ".join(f"player.{name}.{line}" for name in players)
    names = " and ".join(players)
    raise UserError(
        f"{line}: {names} have each their own {group}, so this would change neither; "
        f"for both: {each}"
    )
