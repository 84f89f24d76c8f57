"""The YAML is the schema: a composed config is held against the files that it came from.

Every key that may be set stands in a YAML with its default, so the allowed keys and their types
follow from those files, a user's own ones in `--config-dir` included; `declared` adds ranges
and closed lists for the field's reserved words.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from optbench.config.declared import field_of
from optbench.config.fields import Field, folder_name, word
from optbench.config.flow import flow
from optbench.config.keys import as_list, children, first_that_takes, instead, join, meant
from optbench.config.libraries import loss_meant
from optbench.config.reading import plain_value
from optbench.config.suggest import did_you_mean, nearest
from optbench.errors import UserError

NONE: Mapping[str, Any] = {}


class UnknownKey(UserError):
    """A key that there is not.

    Args:
        said: the message.
        key: itself, dotted.
    """

    def __init__(self, said: str, key: str) -> None:
        super().__init__(said)
        self.key = key


def conform(
    values: Mapping[str, Any], reference: Mapping[str, Any], at: str = ""
) -> dict[str, Any]:
    """Bring every entry of `values` to the type that `reference` has for it.

    Args:
        values: plain nested data, as composed.
        reference: plain nested data with the same keys, holding the defaults.
        at: the dotted key of `values` itself, for messages.

    Raises:
        UserError: an unknown key, a wrong type, a value out of range.
    """
    unknown = [str(key) for key in values if key not in reference]
    if unknown:
        key = join(at, unknown[0])
        value = values[unknown[0]]
        shown = "" if isinstance(value, Mapping) else f"={flow(value)}"
        given = None if isinstance(value, Mapping) else value
        raise UnknownKey(
            f"{key}{shown}: no such key; {meant(unknown[0], given, reference, at)}", key
        )
    return {
        key: conform_value(values[key], reference[key], join(at, key), reference) for key in values
    }


def conform_value(value: Any, like: Any, key: str, beside: Mapping[str, Any] = NONE) -> Any:
    """Return one value in the type of `like`, its default in the YAML, and within its key's range.

    Args:
        key: dotted.
        beside: the node that it stands in, for messages.
    """
    try:
        return _read(value, like, key, beside)
    except UserError:
        meant_by = _as_python(value)
        if meant_by is value or not _fits(meant_by, like, key):
            raise
        hint = "did you mean null?" if meant_by is None else "in quotes it is a text"
        raise _wrong(key, value, "", hint) from None


def _fits(value: Any, like: Any, key: str) -> bool:
    try:
        _read(value, like, key, NONE)
    except UserError:
        return False
    return True


def is_text(like: Any, key: str) -> bool:
    """Return whether a key wants a text, so that `007` is one; `like` is its default."""
    field = field_of(key)
    return field.read in (word, folder_name) if field is not None else isinstance(like, str | None)


def _as_python(value: Any) -> Any:
    """Return what a text would be elsewhere: None, or a number in quotes; else the same object."""
    if not isinstance(value, str):
        return value
    read = None if value in ("None", "none", "nil", "NULL") else plain_value(value)
    return value if isinstance(read, str) else read


def _read(value: Any, like: Any, key: str, beside: Mapping[str, Any]) -> Any:
    field = field_of(key)
    if field is not None and not isinstance(like, Mapping):
        if value is None and (field.nullable or like is None):
            return None
        try:
            read = field.read(value)
        except (ValueError, TypeError, OverflowError):
            expected, hint = _expected(field, value, key, beside, like)
            most = "" if hint or not _too_large(field, value) else ", and at most 2^53"
            raise _wrong(key, value, f"{expected}{most}", hint) from None
        if field.fixed and isinstance(like, list) and len(read) != len(like):
            raise _wrong(key, value, f"{len(like)} numbers, such as {_whole(key, value, like)}")
        return read
    if like is None or (isinstance(like, str) and "${" in like):
        return value
    if isinstance(like, Mapping):
        if not isinstance(value, Mapping):
            first = first_that_takes(key, like, value)
            if first is None and isinstance(value, str) and like.get("_target_", "") is None:
                first = f"_target_={loss_meant(value) or value}"  # a class, to be named
            keys = f"a group of keys: {', '.join(children(like))}"
            raise _wrong(key, value, keys, hint=first and f"did you mean {key}.{first}?")
        return conform(value, like, key) if like else dict(value)
    return _convert(value, like, key)


def _too_large(field: Field, value: Any) -> bool:
    """Return whether a whole number, or one of a list, is larger than a field that has no bound."""
    numbers = value if isinstance(value, list) else [value]
    whole = "whole number" in field.says and " at least " in field.says
    return whole and any(isinstance(each, int | float) and each > 2**53 for each in numbers)


def _convert(value: Any, like: Any, key: str) -> Any:
    if isinstance(like, bool):
        if not isinstance(value, bool):
            raise _wrong(key, value, "true or false")
        return value
    if isinstance(like, int | float):
        whole = isinstance(like, int)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _wrong(key, value, "a whole number" if whole else "a number")
        if not math.isfinite(value) or (whole and value != int(value)):
            raise _wrong(key, value, "a whole number" if whole else "a finite number")
        return int(value) if whole else float(value)
    if isinstance(like, list):
        if not isinstance(value, list):
            raise _wrong(key, value, f"a list, such as {like}")
        if not like or isinstance(like[0], Mapping):
            return list(value)
        return [_convert(item, like[0], f"{key}[{i}]") for i, item in enumerate(value)]
    if isinstance(like, str):
        if value is None or isinstance(value, bool | list | dict):
            raise _wrong(key, value, "a text")
        return str(value)
    return value


def _wrong(key: str, value: Any, expected: str, hint: str | None = None) -> UserError:
    """Return the error for a value that can't be: the hint, or what is expected."""
    hint = hint or f"expected {expected}"
    return UserError(f"{key}={flow(value)}: not valid; {hint}")


def _expected(
    field: Field, value: Any, key: str, beside: Mapping[str, Any], like: Any
) -> tuple[str, str | None]:
    """Return what a field expects, and the hint for a value nearly right, or another key's."""
    epochs = re.fullmatch(r"(\d+) ?ep(?:ochs?)?", str(value)) if key == "steps" else None
    if epochs:
        return field.says, f"expected {field.says}; did you mean epochs={epochs[1]}?"
    words = getattr(field.read, "words", ())
    if words:
        if nearest(str(value), words) is None:
            other = instead(key.rpartition(".")[2], value, beside)
            if other is not None:
                at = key.rpartition(".")[0]
                return field.says, f"expected {field.says}; did you mean {join(at, other)}?"
        return field.says, did_you_mean(str(value), words)
    names = getattr(field.read, "names", ())
    if names and isinstance(value, str) and "." not in value:
        value = nearest(value, names) or names[0]
    listed = as_list(key, value, like)
    if listed is None or value == "*":
        return field.says, None
    return f"{field.says}, such as {listed}", None


def _whole(key: str, value: list[Any], like: list[Any]) -> str:
    """Return the override of a list that has as many numbers as it has to."""
    items = [*value, *like[len(value) :]][: len(like)]
    return (as_list(key, items[0], items) if items else None) or str(like)
