"""A flag that there is not: which flag was meant, or which key."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from optbench.config.suggest import nearest
from optbench.errors import UserError

TRAINS = (
    "--multirun",
    "--config-dir",
    "--cfg",
    "--package",
    "--resolve",
    "--info",
    "--hydra-help",
    "--help",
)
"""The flags of `train`; `-m` and `-p` are short for two."""


def no_such_flag(
    flag: str,
    arguments: Sequence[str],
    known: Iterable[str] = TRAINS,
    config_dir: str | None = None,
) -> UserError:
    """The line for it: keys are written without dashes, `epochs=3`.

    Args:
        flag: as it was typed, perhaps with `=value`.
        arguments: all that were typed.
        known: the flags that there are.
        config_dir: of the user's own configs.
    """
    name, equals, value = flag.partition("=")
    word = name.lstrip("-").replace("-", "_")
    match = nearest(name, known, cutoff=0.85)
    if match:
        return UserError(f"{name}: no such flag; did you mean {match}?")
    if not equals and flag in arguments:
        value = _next(arguments, list(arguments).index(flag))
    said = _setting(word, value, arguments, config_dir) if len(word) > 1 else None
    if said is None:
        return UserError(f"{name}: no such flag; --help names them all, and settings are key=value")
    return UserError(f"{name}: no such flag; did you mean {said}?")


def _next(arguments: Sequence[str], index: int) -> str:
    """The word after a flag, if it looks like its value."""
    after = arguments[index + 1] if index + 1 < len(arguments) else ""
    return "" if after.startswith("-") or "=" in after else after


def _setting(word: str, text: str, arguments: Sequence[str], config_dir: str | None) -> str | None:
    """The override that a word and a value mean, with the files that the rest chooses."""
    from hydra.errors import HydraException

    from optbench.compose.composer import hydra_session

    overrides = [a for a in arguments if "=" in a and not a.startswith("-")]
    for chosen in (overrides, []):
        try:
            with hydra_session(config_dir) as composer:
                return composer.setting_meant(word, text, chosen)
        except (UserError, HydraException):
            continue
    return None


def taken(
    verb: str, arguments: Sequence[str], valued: Sequence[str], switches: Sequence[str]
) -> tuple[dict[str, str], list[str]]:
    """The flags of a verb with their values (a switch's is empty), and the other words.

    Raises:
        UserError: a flag that the verb does not have, or one without its value.
    """
    found: dict[str, str] = {}
    words = []
    given = iter(arguments)
    for argument in given:
        name, equals, value = argument.partition("=")
        if name in valued:
            found[name] = value if equals else next(given, "")
            if not found[name]:
                raise UserError(f"{name}: it wants a value")
        elif argument in switches:
            found[argument] = ""
        elif argument.startswith("-"):
            known = (*valued, *switches)
            raise UserError(f"{name}: no such flag; {verb} takes {', '.join(known)}")
        else:
            words.append(argument)
    return found, words
