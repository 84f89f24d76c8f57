"""Filters of past runs: `state=finished`, `optimizer=sgd,adam`, `tag=wide`, `optimizer.lr=0.1`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase

from optbench.compose.paths import config_files, configs_folder
from optbench.config.conform import conform_value
from optbench.config.declared import SETTINGS
from optbench.config.reading import plain_value
from optbench.config.suggest import did_you_mean, likeness, nearest
from optbench.errors import UserError
from optbench.runs.past import Past
from optbench.shapes import KILLED, STATES

Filter = Callable[[Past], bool]

OWN = ("state", "tag", "name", "notes")
"""What a filter may ask for besides choices and settings."""

_VALUE = re.compile(r"""(?:^|(?<=,))(?:"([^"]*)"|'([^']*)'|([^,]*))(?=,|$)""")
"""Of several: in quotes, or without a comma."""
IS_EQUAL = "a filter is key=value, such as state=finished, not < or >"
"""What is said of a comparison."""


def filter_of(line: str, runs: Sequence[Past]) -> Filter:
    """Return a filter of runs; several values with commas are any of them, `*` is any text.

    Args:
        line: `key=value`.
        runs: of which some are to be found.

    Raises:
        UserError: a key that no run has; a state or a choice that there is not.
    """
    key, _, text = line.partition("=")
    if not text:
        raise UserError(f"{line}: which {key or 'runs'}? a filter is key=value")
    if key[-1:] in ("<", ">", "!"):
        raise UserError(f"{line}: {IS_EQUAL}")
    key = "tag" if key == "tags" else key
    texts = _values(text)
    if key == "state":
        _known(line, texts, (*STATES, KILLED, "unknown"), "state")
        return lambda run: _matches(run.state, texts)
    if key == "tag":
        return lambda run: any(_matches(tag, texts) for tag in run.tags)
    if key in ("name", "notes"):  # which may have commas
        return lambda run: _matches(getattr(run, key), [text, *texts])
    groups = _groups()
    if key in groups or any(key in run.choices for run in runs):
        there = {run.choices[key] for run in runs if key in run.choices}
        files = {path.stem for path in config_files(configs_folder() / key.rpartition(".")[2])}
        named = {name for name in files if not name.startswith("_")}
        _known(line, texts, there | named, key)
        return lambda run: _matches(run.choices.get(key, ""), texts)
    settings = {setting for run in runs for setting in run.settings} | set(SETTINGS)
    if key not in settings:
        raise UserError(f"{line}: no such key; {_hint(key, settings, groups)}")
    having = [run for run in runs if key in run.settings]
    for each in texts:
        _check(key, each, having)
    return lambda run: key in run.settings and _is(run, key, texts)


def meant(word: str) -> str | None:
    """Return a hint for a word that looks like a filter, None if it looks like none."""
    if re.search("[<>]", word):
        return IS_EQUAL
    if word in (*STATES, KILLED):
        return f"did you mean state={word}?"
    groups = _groups()
    if is_key(word) and word != "resume":
        return f"did you mean {word}=...?"
    found = [group for group in groups if (configs_folder() / group / f"{word}.yaml").is_file()]
    return f"did you mean {found[0]}={word}?" if len(found) == 1 else None


def is_key(word: str) -> bool:
    """Return whether runs can be found by what they have of that name."""
    return word in (*OWN, "tags", *_groups()) or word in SETTINGS


def _groups() -> set[str]:
    """Return the groups of which a run has a choice."""
    found = {path.name for path in configs_folder().iterdir() if path.is_dir()}
    return found - {"claim", "executor", "space", "suite"}


def _values(text: str) -> list[str]:
    """Split values at the commas; a list in brackets is one, and so is what is in quotes."""
    if text.startswith(("[", "{")):
        return [text]
    return ["".join(either) for either in _VALUE.findall(text)]


def _matches(value: str, texts: Iterable[str]) -> bool:
    return any(fnmatchcase(value, text) for text in texts)


def _is(run: Past, key: str, texts: Sequence[str]) -> bool:
    """Return whether a setting has one of some values; `1e-3` is 0.001, too."""
    value = run.settings[key]
    meant = [plain_value(text) for text in texts]
    same = any(type(m) is type(value) and m == value for m in meant)
    if isinstance(value, int | float) and not isinstance(value, bool):
        same = any(not isinstance(m, bool | str) and m == value for m in meant)
    return same or _matches(run.value(key), texts)


def _known(line: str, texts: Iterable[str], known: Iterable[str], what: str) -> None:
    """Raise UserError for a value that no run can have."""
    known = set(known)
    for text in texts:
        if not re.search(r"[*?\[]", text) and text not in known:
            raise UserError(f"{line}: no such {what}; {did_you_mean(text, known)}")


def _check(key: str, text: str, runs: Sequence[Past]) -> None:
    """Raise UserError for a value that a setting can't have, as its field or the runs tell.

    Args:
        runs: that have the setting.
    """
    if re.search(r"[*?]", text) or any(run.value(key) == text for run in runs):
        return
    likes = [run.settings[key] for run in runs]
    likes += [SETTINGS[key].default] if key in SETTINGS else []
    refused = []
    for like in likes:
        try:
            conform_value(plain_value(text), like, key)
            return
        except UserError as error:
            refused.append(error)
    if refused:
        raise refused[0]


def _hint(key: str, settings: Iterable[str], groups: Iterable[str]) -> str:
    """Return the key that was probably meant, anywhere in the config."""
    known = [*OWN, *sorted(groups), *sorted(settings)]
    ends = [other for other in known if other.rpartition(".")[2] == key]
    match = min(ends, key=len) if ends else nearest(key, known)
    if match is None:
        best = max(known, key=lambda other: likeness(key, other.rpartition(".")[2]))
        match = best if likeness(key, best.rpartition(".")[2]) > 0.7 else None
    if match is None:
        return f"such as {', '.join(OWN)}, optimizer, optimizer.lr"
    return f"did you mean {match}?"
