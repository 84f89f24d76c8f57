"""Files fetched once from the network, checked, and never left half-written."""

from __future__ import annotations

import hashlib
import http.client
import logging
import os
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from optbench.data.files import LIMIT, Unreadable, damaged, open_regular, reason_of
from optbench.errors import Argument, ArgumentError, reason

_PIECE = 1 << 20
TIMEOUT = 10.0  # seconds without an answer

_log = logging.getLogger(__name__)


def fetch(urls: Sequence[str], md5: str, destination: Path, timeout: float = TIMEOUT) -> None:
    """Download the file from the first of `urls` which gives one with this MD5 (hexadecimal).

    The destination appears whole or not at all.

    Raises:
        ArgumentError: no URL works (within `timeout` seconds without an answer each, default 10);
            the folder cannot be written.
    """
    part = destination.with_name(f"{destination.name}.{os.getpid()}.part")
    made: list[Path] = []
    try:
        made = [path for path in destination.parents if not path.exists()]
        destination.parent.mkdir(parents=True, exist_ok=True)
        part.touch()
    except OSError as error:
        raise _unwritable(destination.parent, error) from error
    failures = []
    try:
        for url in urls:
            failure = _download(url, md5, part, timeout)
            if failure is None:
                part.replace(destination)
                return
            failures.append(f"{url} ({failure})")
    finally:
        part.unlink(missing_ok=True)
        for path in made:
            with suppress(OSError):  # it is no longer empty
                path.rmdir()
    raise ArgumentError(
        f"cannot download {destination.name} from {' or '.join(failures)}: without a network, put"
        f" the file at {destination} by hand, or point ",
        Argument("root"),
        " at a folder which has the data set",
    )


def _unwritable(folder: Path, error: OSError) -> ArgumentError:
    """Return the error for a folder that cannot be made, or written into."""
    file = next((path for path in (folder, *folder.parents) if path.is_file()), None)
    said = f"{file}: a file, where a folder is meant" if file else f"cannot write {reason(error)}"
    return ArgumentError(f"{said}; point ", Argument("root"), " at a folder for the data")


def md5_of(path: Path) -> str:
    """Return the MD5 of a file, in hexadecimal.

    Raises:
        Unreadable: it is no regular file.
    """
    with open_regular(path) as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def others_than_published(name: str, published: Mapping[Path, str]) -> list[str]:
    """Return a note on files with another MD5 than the published one, which may be "" for none.

    Subsets of one's own are a good reason for it, damage is not.

    Raises:
        ArgumentError: a file cannot be read.
    """
    others = []
    for path, md5 in published.items():
        try:
            if md5 and md5_of(path) != md5:
                others.append(path)
        except (Unreadable, OSError) as error:
            raise damaged(path, reason_of(error)) from error
    if not others:
        return []
    names = ", ".join(path.name for path in others)
    verb = "was" if len(others) == 1 else "were"
    those = "is not the file" if len(others) == 1 else "are not the files"
    return [f"{name}: {names} in {others[0].parent} {those} that {verb} published (another MD5)"]


def _download(url: str, md5: str, part: Path, timeout: float) -> str | None:
    """Return why a download failed, in one line, or None."""
    _log.info("downloading %s", url)
    try:
        with urllib.request.urlopen(url, timeout=timeout) as answer, part.open("wb") as file:
            left = LIMIT
            while piece := answer.read(min(_PIECE, left + 1)):
                left -= len(piece)
                if left < 0:
                    return f"more than {LIMIT:,} bytes"
                file.write(piece)
    except (OSError, http.client.HTTPException, ValueError) as error:
        return " ".join(str(error).split()) or type(error).__name__
    found = md5_of(part)
    return None if found == md5 else f"MD5 {found} instead of {md5}"
