"""Files that others may have written: read as plain data, and bounded; written whole or not at all.

Nothing here follows a link in a file's place, waits for a pipe, or takes more memory than `limit`.
"""

from __future__ import annotations

import json
import math
import os
import stat
import sys
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO

import orjson
import yaml

from optbench.errors import UserError
from optbench.escape import escaped_lines

MIB = 1 << 20
MOST_TEXT = 16 * MIB
"""Bytes of a config, status, summary or manifest; a line of metrics too."""

MOST_BITS = 10_000
"""Of a whole number; Python writes down none of more than 4,300 digits."""
MOST_VALUES = 1_000_000
"""Values in a file of plain data, aliases counted each time that they are used."""

DEEPEST = 100
"""Nested lists and mappings in a file of plain data."""

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISLNK, "a link"),
)


class BadFile(UserError):
    """A file is there, but not what it has to be."""


@contextmanager
def naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Give a path to an OSError that names none, as those of writing and flushing."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = os.fspath(path)
        raise


def kind(mode: int) -> str:
    """Return what a mode of `os.stat` stands for, in messages: `a folder`, `a pipe`, ..."""
    return next((name for is_kind, name in _KINDS if is_kind(mode)), "a file")


def open_regular(path: str | os.PathLike[str], flags: int = os.O_RDONLY) -> int:
    """Open a regular file, no link to one, without ever waiting for it; return a descriptor.

    Raises:
        BadFile: a link, a folder, a pipe, a device.
        OSError: whatever else the system refuses; it names the path.
    """
    try:
        mode = os.lstat(path).st_mode
        if not stat.S_ISREG(mode):
            raise BadFile(f"{path}: {kind(mode)}, where a file is meant")
    except FileNotFoundError:
        if not flags & os.O_CREAT:
            raise
    opened = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    mode = os.fstat(opened).st_mode
    if not stat.S_ISREG(mode):  # it was exchanged between the two
        os.close(opened)
        raise BadFile(f"{path}: {kind(mode)}, where a file is meant")
    return opened


def reading(path: str | os.PathLike[str]) -> BufferedReader:
    """Open a regular file to be read; see `open_regular`."""
    return os.fdopen(open_regular(path), "rb")


def appending(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a regular file to be continued, made if it is not there; see `open_regular`."""
    return os.fdopen(open_regular(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), "ab")


def checksum(path: str | os.PathLike[str], length: int | None = None) -> int:
    """Return the CRC-32 of a file's first `length` bytes, by default of all."""
    found, left = 0, sys.maxsize if length is None else length
    with naming(path), reading(path) as file:
        while piece := file.read(min(left, MIB)):
            found = zlib.crc32(piece, found)
            left -= len(piece)
    return found


def read_text(path: str | os.PathLike[str], limit: int = MOST_TEXT) -> str:
    """Read a text in UTF-8.

    Raises:
        BadFile: no regular file, more than `limit` bytes, or another encoding.
        OSError: it is not there or can't be read.
    """
    with naming(path), reading(path) as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise BadFile(f"{path}: more than {limit / MIB:g} MiB, which is not to be expected of it")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadFile(f"{path}: not UTF-8 at byte {error.start}") from None


def _without_merges(self: Any, node: yaml.MappingNode) -> None:
    for key, _ in node.value:
        if key.tag == "tag:yaml.org,2002:merge":
            raise yaml.constructor.ConstructorError(None, None, "<< merges", key.start_mark)


class _Loader(yaml.SafeLoader):
    """Plain data without `<<`: merges of merges grow without end."""

    flatten_mapping = _without_merges


class _FastLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """The same by libyaml, where it is there."""

    flatten_mapping = _without_merges


def load_yaml(path: str | os.PathLike[str]) -> Any:
    """Load plain data from a YAML file.

    Raises:
        BadFile: no YAML, or what `read_text` refuses.
        OSError: it is not there or can't be read.
    """
    return parse_yaml(read_text(path), path)


def parse_yaml(text: str, path: str | os.PathLike[str]) -> Any:
    """Parse plain data from YAML; raise BadFile, which names `path`, for what is none."""
    try:
        return _bounded(yaml.load(text, Loader=_Loader if _NOT_UTF8 in text else _FastLoader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = f", line {mark.line + 1}" if mark else ""
        raise BadFile(f"{path}{at}: not YAML: {error.problem or error.context}") from None
    except (yaml.YAMLError, ValueError, TypeError) as error:
        raise BadFile(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise BadFile(f"{path}: nested too deep") from None


def load_json(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Load a JSON object; the words NaN, Infinity and -Infinity are numbers in it.

    Raises:
        BadFile: no JSON object, or what `read_text` refuses.
        OSError: it is not there or can't be read.
    """
    try:
        values = parse_json(read_text(path))
    except ValueError as error:
        raise BadFile(f"{path}: not JSON: {error}") from None
    if not isinstance(values, dict):
        raise BadFile(f"{path}: not a JSON object")
    return values


def parse_json(text: str | bytes) -> Any:
    """Parse a JSON value; raise ValueError for whatever is none, or nested too deep."""
    if isinstance(text, bytes):
        text = text.decode(json.detect_encoding(text), "surrogatepass")
    words = '"NaN"' in text or 'Infinity"' in text or "\\u" in text  # perhaps as escapes
    try:
        return (_WITH_NUMBERS if words else _PLAIN).decode(text)
    except RecursionError:
        raise ValueError("nested too deep") from None


def _bounded(values: Any) -> Any:
    """Copy without shared parts; raise ValueError where aliases make it too large or endless."""
    left = MOST_VALUES

    def copied(value: Any, depth: int) -> Any:
        nonlocal left
        left -= 1
        if left < 0 or depth > DEEPEST:
            raise ValueError("too many values" if left < 0 else "nested too deep")
        if isinstance(value, dict):
            return {copied(key, depth + 1): copied(item, depth + 1) for key, item in value.items()}
        if isinstance(value, list):
            return [copied(item, depth + 1) for item in value]
        if type(value) is int and value.bit_length() > MOST_BITS:
            raise ValueError("a whole number that is too large")
        if value is not None and type(value) not in (str, int, float, bool):
            raise ValueError(f"a value of type {type(value).__name__}, which is not plain data")
        return value

    return copied(values, 0)


_NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def _numbers(values: dict[str, Any]) -> dict[str, Any]:
    for key, value in values.items():
        if isinstance(value, str) and value in _NOT_FINITE:
            values[key] = _NOT_FINITE[value]
    return values


_PLAIN, _WITH_NUMBERS = json.JSONDecoder(), json.JSONDecoder(object_hook=_numbers)
"""Made once: a file of metrics has a hundred thousand lines, and few of them such words."""


def strict(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values for strict JSON, which has no NaN: numbers that are not finite become words."""
    return {key: _strict(value) for key, value in values.items()}


def _strict(value: Any) -> Any:
    if isinstance(value, Mapping):
        return strict(value)
    if isinstance(value, list | tuple):
        return [_strict(each) for each in value]
    return _word(value) if isinstance(value, float) and not math.isfinite(value) else value


def _word(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


class _Dumper(yaml.SafeDumper):
    """Writes a part that occurs twice twice, not as an alias."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


class _FastDumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """The same by libyaml, where it is there."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


MOST_PARTS, LONGEST_PART, LONG_KEY = 256, 4096, 100
"""Parts of mappings whose YAML is kept, and how long they may be; YAML writes long keys apart."""
_known_parts: dict[str, str] = {}

_NOT_UTF8 = r"\uDC"
"""How `dump_yaml` writes the bytes of a name that are not UTF-8, which libyaml does not read."""


def dump_yaml(values: Any) -> str:
    """Return plain data as YAML, in its own order, by libyaml where it is there.

    What a terminal would obey is escaped, and with it all that is not ASCII.
    """
    with suppress(UnicodeEncodeError):  # libyaml has no words for a name that is not UTF-8
        text = _fast_yaml(values)
        if text == escaped_lines(text):
            return text
    text = yaml.dump(values, Dumper=_Dumper, sort_keys=False)
    return text


def _fast_yaml(values: Any) -> str:
    """Return YAML by libyaml, of a mapping part by part: most are those of the run before, too."""
    whole = not isinstance(values, dict) or len(values) < 2
    if whole or not all(type(key) is str and len(key) < LONG_KEY for key in values):
        return _by_libyaml(values)
    texts = []
    for key, value in values.items():
        said = repr((key, value))
        text = _known_parts.get(said)
        if text is None:
            text = _by_libyaml({key: value})
            if len(said) <= LONGEST_PART:
                if len(_known_parts) == MOST_PARTS:
                    _known_parts.clear()
                _known_parts[said] = text
        texts.append(text)
    return "".join(texts)


def _by_libyaml(values: Any) -> str:
    text: str = yaml.dump(values, Dumper=_FastDumper, sort_keys=False, allow_unicode=True)
    return text


def dump_json(values: Mapping[str, Any]) -> str:
    """Return plain data as strict JSON in lines, with what is not ASCII escaped.

    Numbers that are not finite become words.
    """
    plain = strict(values)
    with suppress(TypeError):  # of numbers beyond 64 bits, keys that are no text, half a character
        quick = orjson.dumps(plain, option=orjson.OPT_INDENT_2)
        if quick.isascii():
            return quick.decode("ascii")
    return json.dumps(plain, indent=2)


def write_atomically(path: Path, text: str, sync: bool = False) -> None:
    """Write a file that a reader sees whole, old or new.

    Args:
        sync: bring it to the disk too, so that a power failure leaves one of the two.
    """
    temporary = path.with_name(path.name + ".tmp")
    with naming(path):
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            opened = os.open(temporary, flags, 0o666)
        except FileExistsError:  # a link, or what a kill left
            temporary.unlink()
            opened = os.open(temporary, flags, 0o666)
        with os.fdopen(opened, "wb") as file:
            file.write(text.encode("utf-8"))
            if sync:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, path)


def open_files_limit() -> int:
    """Return how many files this process may have open; of a system that has no limit, many."""
    try:
        import resource
    except ImportError:  # not on this system
        return 512
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return 1 << 20 if soft == resource.RLIM_INFINITY else soft
