"""A flag that there is not: which flag was meant, or which key."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from optbench.config.declared import FIXED
from optbench.config.elsewhere import elsewhere
from optbench.config.flags import flag_of_word, is_key, output_meant
from optbench.config.reading import plain_value
from optbench.config.suggest import flag_meant
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
RESUMES = ("--at", "--to", "--trust")
"""Those that `resume` has besides."""


def no_such_flag(
    flag: str,
    arguments: Sequence[str],
    known: Iterable[str] = TRAINS,
    config_dir: str | None = None,
    words: Sequence[str] = (),
) -> UserError:
    """Return the error for a flag that there is not: keys have no dashes, `epochs=3`.

    Args:
        flag: as it was typed, perhaps with `=value`.
        arguments: all that were typed.
        known: the flags that there are.
        config_dir: of the user's own configs.
        words: of the verb, as `trials`, which are written as keys are.
    """
    name, equals, value = flag.partition("=")
    word = name.lstrip("-").replace("-", "_")
    if equals and name in known:
        return UserError(f"{name}: it takes no value")
    if not equals and flag in arguments:
        value = _next(arguments, list(arguments).index(flag))
    from optbench.tuning.words import word_said

    match = word_said(word, value, words) or flag_meant(name, known)
    if match:
        return UserError(f"{name}: no such flag; did you mean {match}?")
    file = output_meant(flag, value, list(known))
    other_way = file or elsewhere(word, plain_value(value))
    if other_way is not None:
        return UserError(f"{name}: no such flag; {other_way}")
    said = _setting(word, value, arguments, config_dir) if len(word) > 1 else None
    resumes = set(RESUMES) <= set(known)
    if resumes and said is not None and said.partition("=")[0] in FIXED:
        said = None  # which would be refused
    other = None if resumes else flag_meant(name, RESUMES)
    if other is not None and " or " not in other and not is_key(word, said):
        return UserError(f"{name}: no such flag here; optbench resume has {other}")
    if said is None:
        return UserError(f"{name}: no such flag; --help names them all, and settings are key=value")
    return UserError(f"{name}: no such flag; did you mean {said}?")


def refuse_words_of_flags(words: Iterable[str]) -> None:
    """Raise UserError for a flag of `resume` that is written as a key is, `at=last`."""
    for word in words:
        if flag := flag_of_word(word, RESUMES[:2], RESUMES[2:]):
            raise UserError(f"{word}: did you mean {flag}?")


def _next(arguments: Sequence[str], index: int) -> str:
    """Return the word after a flag, if it looks like its value."""
    after = arguments[index + 1] if index + 1 < len(arguments) else ""
    return "" if after.startswith("-") or "=" in after else after


def _setting(word: str, text: str, arguments: Sequence[str], config_dir: str | None) -> str | None:
    """Return the override that a word and a value mean, with the files that the rest chooses."""
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
