"""A verb's own words on its command line, as `trials=5`; and which was meant by another one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from optbench.compose.composer import Composer
from optbench.compose.files import GROUPS
from optbench.config.declared import SETTINGS
from optbench.config.elsewhere import FOLDER
from optbench.config.flow import flow
from optbench.config.keys import CALLED
from optbench.config.reading import plain_value
from optbench.config.suggest import flat, likeness, nearest
from optbench.errors import UserError
from optbench.which_run import of_many

MOST = {"trials": 100_000, "seeds": 1000, "folds": 1000, "confirm": 1000}
LISTS = ("optimizers", "schedules")
"""Words whose value is a list of names."""
OTHERWISE = {
    "trials": ("n_trials", "num_trials", "max_trials"),
    "seeds": ("n_seeds", "num_seeds", "repeats"),
    "folds": ("n_folds", "num_folds", "cv"),
    "members": ("population", "population_size", "pop_size"),
    "space": ("search_space",),
    "optimizers": ("optimizer", *CALLED["optimizer"]),
}
"""What other programs call a word."""
_OF_RUNS = ("hydra.run.dir", *FOLDER)
"""What says where one run goes, where there are many."""
NEAR, SLIP = 0.72, 0.85
"""Less alike is another word; less than by a slip, where the value is none of the word's."""


class Said(dict[str, Any]):
    """The values of a verb's own words.

    Attributes:
        typed: each as it stands on the command line.
    """

    def __init__(self) -> None:
        super().__init__()
        self.typed: dict[str, str] = {}

    def line(self, word: str) -> str:
        """Return a word with its value, as it was typed."""
        return self.typed.get(word) or f"{word}={flow(self.get(word))}"


def words_of(
    composer: Composer, overrides: Sequence[str], words: Sequence[str]
) -> tuple[Said, list[str]]:
    """Return what is said by a verb's own words, and the overrides that are of its runs.

    Raises:
        UserError: a word without a value, one that is nearly one of these, or a value that is none.
    """
    said = Said()
    rest: list[str] = []
    _refuse_bare(composer, overrides, words)
    for line in overrides:
        key, _, text = line.lstrip("+~").partition("=")
        key = key.partition("@")[0]
        if key not in words:
            if {"space", "optimizers"} & set(words) and flat(key) in map(flat, _OF_RUNS):
                raise UserError(
                    f"{line}: no such key here; did you mean hydra.sweep.dir={text or '...'}?"
                )
            meant = None if key in GROUPS else word_said(key, text, words)
            if meant is not None:
                raise UserError(f"{line}: no such key; did you mean {meant}?")
            rest.append(line)
            continue
        (override,) = composer.parse([line])
        said[key] = _value(override, line)
        said.typed[key] = line
    return said, rest


def word_meant(key: str, words: Iterable[str], text: str = "") -> str | None:
    """Return the word of a verb that a key is nearly; None for a key of runs, or what is nearer.

    Args:
        key: as it was typed.
        words: the verb's.
        text: the key's value, which may be none of a word's.
    """
    words = list(words)
    if key in words:
        return key
    for word in words:
        if flat(key) in map(flat, OTHERWISE.get(word, ())):
            return word
    if key in SETTINGS or key in GROUPS or "." in key:
        return None
    called = [name for names in CALLED.values() for name in names]
    near = nearest(key, [*words, *GROUPS, *SETTINGS, *called], cutoff=NEAR)
    if near not in words or (near in MOST and _no_number(text) and likeness(key, near) < SLIP):
        return None
    return near


def _no_number(text: str) -> bool:
    return bool(text) and isinstance(plain_value(text), str)


def word_said(key: str, text: str, words: Sequence[str]) -> str | None:
    """Return the word of a verb that a key is nearly, with its value; None for none."""
    meant = word_meant(key, words, text)
    return as_word(meant, text) if meant is not None else None


def as_word(word: str, text: str) -> str:
    """Return how a word is written with a value, which is a list for some."""
    if word in LISTS and text and not text.startswith("["):
        return f"{word}=[{text}]"
    return f"{word}={text or '...'}"


def _refuse_bare(composer: Composer, overrides: Sequence[str], words: Sequence[str]) -> None:
    """Refuse words that are no `key=value`: a study's folder, or a choice without its group."""
    bare = [line for line in overrides if "=" not in line and not line.startswith("~")]
    for each in bare:
        if many := of_many(Path(each)) if each else "":
            raise UserError(f"{each}: {many}")
    if not bare:
        return
    files = composer.files
    if "optimizers" in words and set(bare) <= set(files.options("optimizer")):
        meant = f"optimizers=[{','.join(bare)}]"
        raise UserError(f"{' '.join(bare)}: expected key=value; did you mean {meant}?")
    for group in (*(word for word in words if word in ("suite", "space")), "workload"):
        if bare[0] in files.options(group):
            raise UserError(f"{bare[0]}: expected key=value; did you mean {group}={bare[0]}?")
    composer.parse(overrides)


def _value(override: Any, line: str) -> Any:
    key, text = override.key_or_group, line.partition("=")[2]
    if override.is_choice_sweep() and key in LISTS:
        raise UserError(f"{line}: a list is written in brackets: {key}=[{text}]")
    if override.is_sweep_override():
        searched = "; what is searched stands in search={...}" if key in ("space", "search") else ""
        raise UserError(f"{line}: {key} takes one value, not several{searched}")
    if override.is_add() or override.is_delete() or override.package is not None:
        raise UserError(f"{line}: write {key}=...")
    return override.value()


def count(said: Said, name: str, least: int = 1) -> int | None:
    """Return a word's whole number; None where it was not said.

    Raises:
        UserError: it is said, and is no number within bounds.
    """
    if name not in said:
        return None
    value, most = said[name], MOST.get(name, MOST["trials"])
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        expected = f"a whole number from {least} to {most}"
        raise UserError(f"{said.line(name)}: not valid; expected {expected}")
    return value
