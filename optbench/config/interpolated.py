"""Values that came from `${...}`: the environment knows texts only, and a key may want a number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optbench.config.conform import conform_value, is_text
from optbench.config.keys import join
from optbench.config.reading import plain_value
from optbench.errors import UserError


def decoded(value: Any, written: Any, like: Any, at: str = "") -> Any:
    """Turn texts from interpolations, in resolved data, into what their keys want.

    The environment knows texts only: `optimizer.lr=${oc.env:LR}` is "0.05", and a number.

    Args:
        value: resolved.
        written: the same, with `${...}` in it.
        like: the defaults, from whose types it follows what a key wants.
        at: the dotted key of `value`, for the table of fields.
    """
    if isinstance(value, Mapping) and isinstance(written, Mapping):
        below = like if isinstance(like, Mapping) else {}
        return {
            key: decoded(item, written.get(key), below.get(key), join(at, str(key)))
            for key, item in value.items()
        }
    if isinstance(value, list) and isinstance(written, list) and len(value) == len(written):
        pairs = list(zip(value, written, strict=True))
        read = [plain_value(v) if _from_elsewhere(v, w) else v for v, w in pairs]
        if read != value and not _fits(value, like, at) and _fits(read, like, at):
            return read
        return [decoded(v, w, None, at) if isinstance(v, Mapping) else v for v, w in pairs]
    if _from_elsewhere(value, written) and not is_text(like, at):
        read_value = plain_value(value)
        return read_value if _fits(read_value, like, at) else value
    return value


def _from_elsewhere(value: Any, written: Any) -> bool:
    return isinstance(value, str) and isinstance(written, str) and "${" in written


def _fits(value: Any, like: Any, at: str) -> bool:
    try:
        conform_value(value, like, at)
    except UserError:
        return False
    return True
