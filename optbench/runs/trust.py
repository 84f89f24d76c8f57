"""Whose run a folder is: seals that this user alone can make, and what others may name.

A config says which classes are built, so building from somebody else's runs his code. A seal is a
config's SHA-256 and its HMAC with a key in the user's state folder; a run's status and the
manifests of its checkpoints carry it.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from optbench.compose.paths import configs_folder
from optbench.files import BadFile, read_text

Seal = dict[str, str]
KEY_BYTES = 32

_LIBRARIES = {
    "model": r"torch\.nn\.[A-Z]\w*|torchvision\.models\.\w+",
    "optimizer": r"torch\.optim\.[A-Z]\w*|pytorch_optimizer\.\w+|schedulefree\.[A-Z]\w*",
    "loss": r"torch\.nn\.\w*Loss",
    "sink": r"csv",
    "instrument": r"[a-z_0-9]+",  # a name; no path goes through our modules to what they import
    "schedule": r"torch\.optim\.lr_scheduler\.[A-Z]\w*",
}
"""By role: classes of others' that a config may name whoever wrote it."""

_ROLES = {
    **{group: group for group in ("model", "dataset", "task", "optimizer", "schedule", "wrapper")},
    **{
        "companion": "optimizer",
        "stages": "optimizer",
        "parts": "schedule",
        "loss": "loss",
        "sinks": "sink",
        "instruments": "instrument",
    },
    **{f"{what}_schedule": "schedule" for what in ("momentum", "beta2", "weight_decay")},
}
"""By the key that a node stands at: what its `_target_` is."""

_NAMED = ("_target_", "takes", "scheduler")
"""Keys whose value is the dotted path of a class or function."""


def _key() -> bytes | None:
    """Return the user's key, made when first asked for; None where there is no place for it."""
    base = os.environ.get("XDG_STATE_HOME", "")
    try:
        state = Path(base if os.path.isabs(base) else "~/.local/state").expanduser()
        path = state / "optbench" / "key"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            new = path.with_name(f"key.{os.getpid()}.{secrets.token_hex(4)}")
            opened = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(opened, "w", encoding="ascii") as file:
                file.write(secrets.token_hex(KEY_BYTES))
                file.flush()
                os.fsync(file.fileno())
            try:
                os.link(new, path)  # whole or not at all, and never over another's
            finally:
                new.unlink()
    except FileExistsError:
        pass  # by another process, a moment ago
    except (OSError, RuntimeError):
        return None
    try:
        key = bytes.fromhex(read_text(path, 1024))
    except (OSError, BadFile, ValueError):
        return None
    return key if len(key) == KEY_BYTES else None


def seal(text: str) -> Seal:
    """Return the seal of a config's text."""
    found = {"sha256": hashlib.sha256(text.encode("utf-8")).hexdigest()}
    key = _key()
    if key is not None:
        found["signature"] = _signature(key, found["sha256"])
    return found


def sealed(config: str, before: Iterable[Seal]) -> list[Seal]:
    """Return the seals of a run that has a new config: of its text first, and those that it had."""
    own = seal(config)
    return [own, *(each for each in before if each["sha256"] != own["sha256"])]


def _signature(key: bytes, checksum: str) -> str:
    return hmac.new(key, b"optbench config " + checksum.encode("ascii"), "sha256").hexdigest()


def is_own(text: str, seals: Iterable[Mapping[str, Any]]) -> bool:
    """Return whether one of the seals says that this user began a run with this config."""
    key = _key()
    if key is None:
        return False
    own = _signature(key, hashlib.sha256(text.encode("utf-8")).hexdigest()).encode()
    found = (str(seal.get("signature", "")).encode("utf-8", "replace") for seal in seals)
    return any(hmac.compare_digest(own, signature) for signature in found)


def foreign(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield key and value of what a config names beyond optbench's own configs and torch."""
    ours = _ours()
    for key, role, name, value in _paths(config):
        if value is None or (name == "scheduler" and "." not in str(value)):
            continue
        allowed = _LIBRARIES.get("optimizer" if role == "wrapper" else role, r"(?!)")
        known = isinstance(value, str) and (value in ours or re.fullmatch(allowed, value))
        if not role or not known:
            yield key, str(value)


def _ours() -> set[str]:
    """Return what the config files of optbench name."""
    named = re.compile(rf"\b(?:{'|'.join(_NAMED)}):\s*([\w.]+)")
    texts = (path.read_text(encoding="utf-8") for path in configs_folder().rglob("*.yaml"))
    return {name for text in texts for name in named.findall(text)}


def _paths(node: Any, at: str = "", role: str = "") -> Iterator[tuple[str, str, str, Any]]:
    """Yield every key that names a class: dotted, its node's role, its last part, the value."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            dotted = f"{at}.{key}" if at else str(key)
            if key in _NAMED:
                yield dotted, role, str(key), value
            yield from _paths(value, dotted, _ROLES.get(str(key), ""))
    elif isinstance(node, list):
        for index, item in enumerate(node):
            if role in ("sink", "instrument") and isinstance(item, str):
                yield f"{at}[{index}]", role, "_target_", item
            yield from _paths(item, f"{at}[{index}]", role)
